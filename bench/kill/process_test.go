package kill

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// process is a weir that is killed and started again on the same data.
type process struct {
	t      testing.TB
	binary string
	args   []string
	env    []string // beside the test's own
	http   string   // address
	log    string   // file with all that its lives said
	cmd    *exec.Cmd
	exited chan struct{} // closed when it is gone
}

// build compiles the command as it is in the working tree.
func build(t testing.TB, flags ...string) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "weir")
	out, err := exec.Command("go", append(append([]string{"build"}, flags...), "-o", binary, "github.com/weirstream/weir")...).CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// freePort finds a port that nobody listens on now.
func freePort(t testing.TB) string {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

// newProcess prepares one that serves its interface on a port of its own. The
// end of a test that failed shows the end of its log.
func newProcess(t *testing.T, binary string, env []string, args ...string) *process {
	t.Helper()
	p := &process{t: t, binary: binary, env: env, http: freePort(t)}
	_, port, err := net.SplitHostPort(p.http)
	check(t, err)
	p.args, p.log = append(args, "--http", p.http), filepath.Join(t.ArtifactDir(), "weir-"+port+".log")
	t.Cleanup(func() {
		if p.cmd != nil {
			p.kill()
		}
		if t.Failed() {
			t.Logf("the end of %s:\n%s", p.log, p.tail())
		}
	})
	return p
}

func (p *process) base() string { return "http://" + p.http }

func (p *process) start() {
	p.t.Helper()
	out, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	check(p.t, err)
	defer out.Close() // the process has its own
	p.cmd, p.exited = exec.Command(p.binary, p.args...), make(chan struct{})
	p.cmd.Dir = filepath.Dir(p.log) // no weir.yaml lies there
	p.cmd.Env = append(os.Environ(), p.env...)
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = out, out, noOrphan()
	check(p.t, p.cmd.Start())
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // its state says how it ended
		close(exited)
	}(p.cmd, p.exited)
}

// kill is SIGKILL: nothing of the process runs any more when it returns.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may be gone already, which ready and stop tell
	<-p.exited
}

// ready waits until the process is at work, and says how long it took.
func (p *process) ready(within time.Duration) (time.Duration, error) {
	began := time.Now()
	for time.Since(began) < within {
		select {
		case <-p.exited:
			return 0, fmt.Errorf("weir ended by itself, %v", p.cmd.ProcessState)
		case <-time.After(10 * time.Millisecond):
		}
		res, err := http.Get(p.base() + "/readyz")
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body) // only the status counts
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("weir is not ready after %v", within)
}

// stop is Ctrl-C or what an init sends: it has to drain and end well within a
// time.
func (p *process) stop(signal syscall.Signal, within time.Duration) {
	p.t.Helper()
	began := time.Now()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.t.Errorf("%v: weir ended by itself: %v", signal, p.cmd.ProcessState)
		return
	}
	select {
	case <-p.exited:
	case <-time.After(within):
		p.t.Errorf("weir does not stop within %v of %v", within, signal)
		return
	}
	if code := p.cmd.ProcessState.ExitCode(); code != 0 {
		p.t.Errorf("weir stopped with code %d", code)
	}
	p.t.Logf("stopped in %v by %v", time.Since(began).Round(time.Millisecond), signal)
}

// tail is the end of what it said.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return string(b[max(0, len(b)-6<<10):])
}
