package cli

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain lets this program be the command, for tests that interrupt it.
func TestMain(m *testing.M) {
	if args := os.Getenv("WEIR_TEST_CALL"); args != "" {
		fmt.Println("begun")
		os.Exit(Main(strings.Fields(args), os.Stdout, os.Stderr))
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

// All lists have one shape.
func TestListsHaveOneShape(t *testing.T) {
	for _, call := range []string{"metrics -o json", "config check -o json"} {
		t.Chdir(t.TempDir()) // where no weir.yaml is
		var out, errs bytes.Buffer
		if code := Main(strings.Fields(call), &out, &errs); code != 0 {
			t.Fatal(errs.String())
		}
		var l map[string]any
		if err := json.Unmarshal(out.Bytes(), &l); err != nil || l["items"] == nil || l["more"] != false || len(l) != 2 {
			t.Errorf("weir %s: %v %v", call, err, fmt.Sprint(l)[:min(200, len(fmt.Sprint(l)))])
		}
	}
}
