package kill

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// victim is a weir process that is killed and started again on the same data.
type victim struct {
	t      testing.TB
	binary string
	args   []string
	data   string
	http   string // address
	kafka  string
	cmd    *exec.Cmd
	out    *tail
	exited chan struct{} // closed when the process is gone
}

// build compiles the command as it is in the working tree.
func build(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "weir")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/weirstream/weir").CombinedOutput()
	if err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return binary
}

// freePort finds a port that nobody listens on now.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func newVictim(t testing.TB, o *outside) *victim {
	t.Helper()
	v := &victim{t: t, binary: build(t), data: t.TempDir(), http: freePort(t), kafka: freePort(t)}
	v.args = []string{"dev", "--data", v.data, "--http", v.http, "--kafka", v.kafka, "--partitions", fmt.Sprint(partitions), "--log-level", "warn",
		"--provider", o.providerURL, "--carrier", o.carrierURL, "--mailbox", o.mailboxAddr}
	t.Cleanup(func() {
		if v.cmd != nil {
			v.kill()
		}
	})
	return v
}

func (v *victim) start() {
	v.t.Helper()
	v.cmd, v.out, v.exited = exec.Command(v.binary, v.args...), &tail{}, make(chan struct{})
	v.cmd.Stdout, v.cmd.Stderr, v.cmd.SysProcAttr = v.out, v.out, noOrphan()
	if err := v.cmd.Start(); err != nil {
		v.t.Fatal(err)
	}
	go func(cmd *exec.Cmd, exited chan struct{}) {
		_ = cmd.Wait() // its state says how it ended
		close(exited)
	}(v.cmd, v.exited)
}

// kill is SIGKILL: nothing of the process runs any more when it returns.
func (v *victim) kill() {
	_ = v.cmd.Process.Kill() // it may be gone already, which ready and stop tell
	<-v.exited
}

// ready waits until the platform is at work, and says how long it took.
func (v *victim) ready(within time.Duration) (time.Duration, error) {
	began := time.Now()
	for time.Since(began) < within {
		select {
		case <-v.exited:
			return 0, fmt.Errorf("weir ended by itself, %v:\n%s", v.cmd.ProcessState, v.out)
		case <-time.After(10 * time.Millisecond):
		}
		res, err := http.Get("http://" + v.http + "/readyz")
		if err != nil {
			continue
		}
		_, _ = io.Copy(io.Discard, res.Body) // only the status counts
		res.Body.Close()
		if res.StatusCode == http.StatusOK {
			return time.Since(began), nil
		}
	}
	return 0, fmt.Errorf("weir is not ready after %v:\n%s", within, v.out)
}

// stop is Ctrl-C: it has to drain and end well within a time.
func (v *victim) stop(within time.Duration) (time.Duration, error) {
	began := time.Now()
	if err := v.cmd.Process.Signal(os.Interrupt); err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	select {
	case <-v.exited:
	case <-ctx.Done():
		return 0, fmt.Errorf("weir does not stop within %v of SIGINT:\n%s", within, v.out)
	}
	if code := v.cmd.ProcessState.ExitCode(); code != 0 {
		return 0, fmt.Errorf("weir stopped with code %d:\n%s", code, v.out)
	}
	return time.Since(began), nil
}

// tail keeps the end of what a process said.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.b = append(t.b, p...); len(t.b) > 8<<10 {
		t.b = append(t.b[:0], t.b[len(t.b)-4<<10:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.b)
}
