package cli

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// program is a built command of a folder of the repository.
type program struct {
	t    *testing.T
	path string
}

func built(t *testing.T, folder string) program {
	t.Helper()
	p := program{t, filepath.Join(t.TempDir(), "weir")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", p.path, "./"+folder)
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return p
}

// run runs it to its end.
func (p program) run(words ...string) (said string, code int) {
	p.t.Helper()
	out, err := exec.CommandContext(p.t.Context(), p.path, words...).CombinedOutput()
	if failed := (*exec.ExitError)(nil); err != nil && !errors.As(err, &failed) {
		p.t.Fatal(err)
	} else if err != nil {
		code = failed.ExitCode()
	}
	return string(out), code
}

// dev runs its dev with a directory until stop, which drains it, and returns where it is.
func (p program) dev(data string) (url string, stop func()) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), time.Minute)
	c := exec.CommandContext(ctx, p.path, "dev", "--data", data, "--http", "127.0.0.1:0", "--kafka", "127.0.0.1:0", "--prometheus=false")
	var errs bytes.Buffer
	c.Stderr = &errs
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for url == "" && lines.Scan() {
		url = regexp.MustCompile(`http://127\.0\.0\.1:[1-9]\d*`).FindString(lines.Text())
	}
	if url == "" {
		p.t.Fatalf("dev does not say where it is: %s", errs.String())
	}
	return url, func() {
		defer cancel()
		err := c.Process.Signal(syscall.SIGINT)
		_, _ = io.Copy(io.Discard, out)
		if err := errors.Join(err, c.Wait()); err != nil {
			p.t.Errorf("dev ends with %v: %s", err, errs.String())
		}
	}
}

// aCurl is a call of curl as documents show it: what is sent, and of what comes back the
// parts that are said.
var aCurl = regexp.MustCompile(`(?m)^curl (?:-i )?(?:-X (\w+) )?'?127\.0\.0\.1:8080([^\s']+)'?((?: -H '[^']*')*)(?: -d '([^']*)')?(?: +# (.*))?$`)

// curls makes all calls of the README whose path has one of the prefixes.
func curls(t *testing.T, url string, prefixes ...string) {
	t.Helper()
	text := documents(t)[filepath.Join(root, "README.md")]
	all, made := aCurl.FindAllStringSubmatch(text, -1), 0
	if n := strings.Count(text, "\ncurl "); n != len(all) {
		t.Errorf("of %d calls of curl %d are read", n, len(all))
	}
	for _, m := range all {
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(m[2], p) }) {
			continue
		}
		made++
		status, body := 0, ""
		for began := time.Now(); time.Since(began) < 20*time.Second; time.Sleep(100 * time.Millisecond) { // who types is slower than a parcel here
			if status, body = call(t, url, m); status < 300 && holds(body, strings.Split(m[5], "…")) {
				break
			}
		}
		if status >= 300 || !holds(body, strings.Split(m[5], "…")) {
			t.Errorf("%s: %d %s", m[0], status, body)
		}
	}
	if made == 0 {
		t.Errorf("the README calls nothing below %v", prefixes)
	}
}

func call(t *testing.T, url string, m []string) (status int, body string) {
	t.Helper()
	method := m[1]
	if method == "" && m[4] != "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url+m[2], strings.NewReader(m[4]))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range regexp.MustCompile(`-H '([^:]*): ([^']*)'`).FindAllStringSubmatch(m[3], -1) {
		req.Header.Set(h[1], h[2])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(b)
}

// holds tells whether a text holds the parts, in their order.
func holds(text string, parts []string) bool {
	for _, p := range parts {
		_, after, ok := strings.Cut(text, p)
		if !ok {
			return false
		}
		text = after
	}
	return true
}

// What the README lets a newcomer type first works as it stands there; and so do the
// commands that look at what is left behind.
func TestWhatTheReadmeShows(t *testing.T) {
	weir, data := built(t, "."), t.TempDir()
	url, stop := weir.dev(data)
	curls(t, url, "/v1/orders", "/v1/reviews", "/v1/ratings")
	if said, code := weir.run("saga", "show", "o-1", "--url", url); code != 0 || !strings.Contains(said, "order.placed") {
		t.Errorf("saga show: %d %s", code, said)
	}
	stop()
	stores, code := weir.run("store", "ls", "--data", data)
	for _, service := range tested.serviceNames() {
		if code != 0 || !regexp.MustCompile(`(?m)^`+service+` +[A-Z2-7]{26} +it$`).MatchString(stores) {
			t.Errorf("store ls: %d %s", code, stores)
		}
	}
	if said, code := weir.run("store", "accept", "order", "--data", data); code != 1 || !strings.Contains(said, "there is nothing to accept") {
		t.Errorf("store accept: %d %s", code, said)
	}
	if said, code := weir.run("store", "renew", "order", "--data", data, "--force"); code != 0 || !strings.Contains(said, "as that of order now") {
		t.Errorf("store renew: %d %s", code, said)
	}
	if again, _ := weir.run("store", "ls", "--data", data); again == stores {
		t.Errorf("renewed, it is called as before: %s", again)
	}
}

func TestWhatTheReadmeShowsOfABusinessOfOnesOwn(t *testing.T) {
	url, stop := built(t, "deploy/cli/wishes").dev(t.TempDir())
	defer stop()
	curls(t, url, "/v1/wishlists")
}
