package embedded

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

// A process of its own that holds a directory until its input ends, for the tests
// below; it is this test program.
func TestMain(m *testing.M) {
	if dir := os.Getenv("HOLD_DATA"); dir != "" {
		d, err := Hold(dir, "shop", "127.0.0.1:1")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("held")
		_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
		runtime.KeepAlive(d)
		return
	}
	os.Exit(m.Run())
}

// hold starts a process that takes a directory, and returns what it says.
func hold(t *testing.T, dir string) (says string, p *exec.Cmd) {
	t.Helper()
	p = exec.Command(os.Args[0])
	p.Env = append(os.Environ(), "HOLD_DATA="+dir)
	in, err := p.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); _ = p.Wait() })
	says, _ = bufio.NewReader(out).ReadString('\n')
	return strings.TrimSpace(says), p
}

// Two processes on one directory fence each other's lanes, and both are done for.
func TestADirectoryIsOneProcesss(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "not", "there", "yet")
	first, holding := hold(t, dir)
	if first != "held" {
		t.Fatal(first)
	}
	links := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.Symlink(dir, filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{dir, filepath.Join(links, "a"), filepath.Join(links, "b") + "/", dir + "/../yet"} {
		_, err := Hold(path, "shop", "127.0.0.1:2")
		if err == nil {
			t.Fatalf("%s is held twice", path)
		}
		for _, want := range []string{fmt.Sprintf("process %d", holding.Process.Pid), "since 2", "http://127.0.0.1:1", "--data"} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%v, without %q", err, want)
			}
		}
	}
	// Its note is no lock: without it, or with one that cannot be written, the hold is the same.
	note := filepath.Join(dir, holderFile)
	if err := os.Remove(note); err != nil {
		t.Fatal(err)
	}
	if _, err := Hold(dir, "shop", ""); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("without its note: %v", err)
	}
	if err := os.WriteFile(note, []byte("process 1, nonsense"), 0o400); err != nil {
		t.Fatal(err)
	}
	// A process that is killed lets go.
	if err := holding.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = holding.Wait()
	d, err := Hold(dir, "shop", "127.0.0.1:2")
	if err != nil {
		t.Fatal(err)
	}
	if said, _ := hold(t, dir); !strings.Contains(said, fmt.Sprintf("process %d", os.Getpid())) {
		t.Errorf("another process says %q", said)
	}
	if err := d.Release(); err != nil {
		t.Fatal(err)
	}
	if said, _ := hold(t, dir); said != "held" {
		t.Errorf("a directory that was let go of: %s", said)
	}
}

// Addresses and card tokens are in the directory.
func TestDataIsForItsUserAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	elsewhere := filepath.Join(t.TempDir(), "elsewhere")
	for path, mode := range map[string]fs.FileMode{"order.db": 0o644, "order.db-wal": 0o644, "log/t/0.dat": 0o644, "prometheus/wal/00": 0o666, "notes.txt": 0o644} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(path, nil, mode), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(elsewhere, nil, 0o644), os.Chmod(elsewhere, 0o644)); err != nil {
		t.Fatal(err)
	}
	for _, link := range []string{"x.db", "log/x"} {
		if err := os.Symlink(elsewhere, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	d, err := Hold(dir, "shop", "")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "new"), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]fs.FileMode{"": 0o700, "order.db": 0o600, "order.db-wal": 0o600, "log": 0o700, "log/t": 0o700, "log/t/0.dat": 0o600,
		"prometheus/wal/00": 0o600, "notes.txt": 0o644, "new": 0o600, holderFile: 0o600} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has %v, want %v (%v)", path, info.Mode().Perm(), want, err)
		}
	}
	if info, err := os.Stat(elsewhere); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("what a link leads to was changed: %v %v", info.Mode(), err)
	}
	if err := d.Release(); err != nil {
		t.Fatal(err)
	}
	everybodys := t.TempDir()
	if err := os.Chmod(everybodys, 0o777|fs.ModeSticky); err != nil {
		t.Fatal(err)
	}
	if _, err := Hold(everybodys, "shop", ""); err == nil || !strings.Contains(err.Error(), "is everybody's") {
		t.Errorf("a directory like /tmp: %v", err)
	}
}

// The data of another business are not gone on with, and not touched.
func TestADirectoryIsOneBusinesss(t *testing.T) {
	dir := t.TempDir()
	for _, c := range []struct{ business, want string }{{"shop", ""}, {"shop", ""}, {"wishes", `business "shop", and this one is "wishes"`}, {"shop", ""}} {
		d, err := Hold(dir, c.business, "")
		if c.want == "" && err == nil {
			err = d.Release()
		}
		if (c.want == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.business, err, c.want)
		}
	}
}
