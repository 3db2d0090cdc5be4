package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this program be the command, for tests that interrupt it.
func TestMain(m *testing.M) {
	if args := os.Getenv("WEIR_TEST_CALL"); args != "" {
		fmt.Println("begun")
		os.Exit(tested.Main(strings.Fields(args), os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// interrupted starts a command, interrupts it once it is at work, and returns its
// exit code and what it said.
func interrupted(t *testing.T, call, tmp string) (int, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), "WEIR_TEST_CALL="+call, "TMPDIR="+tmp)
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond) // it is at work by then, and far from its end
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	err = cmd.Wait()
	var code *exec.ExitError
	if ctx.Err() != nil || err != nil && !errors.As(err, &code) {
		t.Fatalf("weir %s does not end: %v", call, err)
	}
	return cmd.ProcessState.ExitCode(), said.String()
}

// Ctrl-C ends what takes minutes, and a half is not taken for a whole.
func TestCtrlCEndsAlertTests(t *testing.T) {
	tmp := t.TempDir()
	if code, said := interrupted(t, "alerts test", tmp); code != exitInterrupted || !strings.Contains(said, "interrupted after") {
		t.Errorf("exit code %d, %s", code, said)
	}
	left, err := filepath.Glob(filepath.Join(tmp, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestCtrlCEndsASimulatedDay(t *testing.T) {
	if code, said := interrupted(t, "simulate --seed 42", t.TempDir()); code != exitInterrupted || !strings.Contains(said, "interrupted after") {
		t.Errorf("exit code %d, %s", code, said)
	}
}

// A run that was to end with an audit says that there was none.
func TestCtrlCEndsARunWithoutItsAudit(t *testing.T) {
	call := "dev --for 10m --http 127.0.0.1:0 --kafka 127.0.0.1:0 --prometheus=false"
	if code, said := interrupted(t, call, t.TempDir()); code != exitInterrupted || !strings.Contains(said, "of 10m0s: nothing was audited") {
		t.Errorf("exit code %d, %s", code, said)
	}
}

// Who gives up waiting for an answer is not told that nobody is there.
func TestCtrlCEndsAQuestion(t *testing.T) {
	asked, answered := make(chan bool, 1), make(chan bool)
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- true
		<-answered
	}))
	defer s.Close()
	defer close(answered)
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-asked
		interrupt()
	}()
	err := client{&s.URL}.call(ctx, http.MethodPost, "/v1/x", new(struct{}))
	if err == nil || !strings.Contains(err.Error(), "interrupted before") || errors.As(err, new(unreachable)) {
		t.Errorf("it says %v", err)
	}
}

// Every command that wants other arguments says which, by name.
func TestWrongArgumentsAreNamed(t *testing.T) {
	for call, want := range map[string]string{
		"store renew":            `weir store renew wants SERVICE, and was given none. See weir store renew --help`,
		"lane accept a/0 b/0":    `weir lane accept wants SERVICE/LANE, and was given ["a/0" "b/0"]. See`,
		"run":                    `weir run wants UNIT..., and was given none. See`,
		"version 1":              `weir version takes no arguments, and was given ["1"]. See`,
		"dlq show order order":   `weir dlq show wants SERVICE DECIDER KEY, and was given ["order" "order"]. See`,
		"load a.csv b.csv c.csv": `weir load wants FILE.csv, and was given`,
	} {
		var out, errs bytes.Buffer
		if code := tested.Main(strings.Fields(call), &out, &errs); code != exitUsage || !strings.Contains(errs.String(), want) {
			t.Errorf("weir %s: code %d, %s", call, code, errs.String())
		}
	}
}

// A unit's name is checked against those that the process has.
func TestUnitsAreNamed(t *testing.T) {
	var posts []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			posts = append(posts, r.URL.Path)
			fmt.Fprint(w, `{"unit":"projection"}`)
			return
		}
		fmt.Fprint(w, `{"items":[{"unit":"order"},{"unit":"projection"}]}`)
	}))
	defer s.Close()
	for _, x := range []struct {
		call, want string
		code       int
	}{
		{"unit restart projektion", "(did you mean projection?)", exitUsage},
		{"unit accept projection", "projection goes on without them", exitOK},
		{"unit restart projection", "projection is tried again", exitOK},
	} {
		var out bytes.Buffer
		if code := tested.Main(append(strings.Fields(x.call), "--url", s.URL), &out, &out); code != x.code || !strings.Contains(out.String(), x.want) {
			t.Errorf("weir %s: code %d, %s", x.call, code, out.String())
		}
	}
	if want := []string{"/v1/units/projection/accept", "/v1/units/projection/restart"}; !slices.Equal(posts, want) {
		t.Errorf("asked for %v, want %v", posts, want)
	}
}

// All lists have one shape.
func TestListsHaveOneShape(t *testing.T) {
	for _, call := range []string{"metrics -o json", "config check -o json"} {
		t.Chdir(t.TempDir()) // where no weir.yaml is
		var out, errs bytes.Buffer
		if code := tested.Main(strings.Fields(call), &out, &errs); code != 0 {
			t.Fatal(errs.String())
		}
		var l map[string]any
		if err := json.Unmarshal(out.Bytes(), &l); err != nil || l["items"] == nil || l["more"] != false || len(l) != 2 {
			t.Errorf("weir %s: %v %v", call, err, fmt.Sprint(l)[:min(200, len(fmt.Sprint(l)))])
		}
	}
}
