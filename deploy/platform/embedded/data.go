package embedded

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Data is the directory of what is embedded, held by this process alone: event
// stores are claimed by whoever opens them, and two processes that claim the same
// ones fence one another for good.
type Data struct {
	dir  string
	held *os.File // the directory itself: the system lets go of it with the process, however that ends
}

// holderFile says who holds the directory. Nothing is decided by it.
const holderFile = "weir.pid"

// ownerFile says of which business the directory is.
const ownerFile = "business"

// Hold makes the directory if it is not there, takes hold of it, and closes it
// to other users: addresses and card tokens are in it. It is one business's: another one
// would write its events beside them. at is where this process is reached.
func Hold(dir, business, at string) (*Data, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if info.Mode()&os.ModeSticky != 0 {
		return nil, fmt.Errorf("data directory: %s is everybody's: name a directory of its own in it, as %s", dir, filepath.Join(dir, "weir"))
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	free, err := lockFile(f)
	if err == nil && !free {
		err = fmt.Errorf("data directory: %s is in use by %s. Two processes on one directory would fence each other for good: stop that one first, or choose another directory (--data, or data in the configuration)",
			dir, holder(dir))
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	onlyOurs()
	d := &Data{dir, f}
	if err := errors.Join(d.tighten(), d.claim(business), d.sign(at)); err != nil {
		return nil, errors.Join(fmt.Errorf("data directory: %w", err), f.Close())
	}
	return d, nil
}

// claim makes the directory the business's, unless it is another one's. Older programs
// did not say whose it was.
func (d *Data) claim(business string) error {
	path := filepath.Join(d.dir, ownerFile)
	whose, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return os.WriteFile(path, []byte(business+"\n"), 0o600)
	}
	if of := strings.TrimSpace(string(whose)); err == nil && of != business {
		return fmt.Errorf("%s holds the data of the business %q, and this one is %q: choose another directory (--data, or data in the configuration); if it has only changed its name, write that into %s",
			d.dir, of, business, path)
	}
	return err
}

// sign writes who holds the directory. What is there is replaced, whatever it is.
func (d *Data) sign(at string) error {
	path := filepath.Join(d.dir, holderFile)
	text := fmt.Sprintf("process %d, since %s, http://%s\n", os.Getpid(), time.Now().Format(time.RFC3339), at)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// Release lets go. The note goes first: it is this process's only until then.
func (d *Data) Release() error {
	err := os.Remove(filepath.Join(d.dir, holderFile))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return errors.Join(err, d.held.Close())
}

// holder says who holds a directory, as far as that is known: a process that has
// only just taken it has not signed yet, and the note of one that was killed stays.
func holder(dir string) string {
	for range 10 {
		b, err := os.ReadFile(filepath.Join(dir, holderFile))
		var pid int
		if _, scan := fmt.Sscanf(string(b), "process %d,", &pid); err == nil && scan == nil && alive(pid) {
			return "another weir (" + strings.TrimSpace(string(b)) + ")"
		}
		time.Sleep(50 * time.Millisecond)
	}
	return "another process"
}

// What is kept in the directory: files by their endings, and directories.
var (
	dataEndings = []string{".db", ".db-wal", ".db-shm", ".jsonl"}
	dataTrees   = []string{"log", "prometheus"}
)

// tighten closes to others what earlier runs have written, and leaves alone what
// is somebody else's.
func (d *Data) tighten() error {
	if err := os.Chmod(d.dir, 0o700); err != nil && !errors.Is(err, fs.ErrPermission) { // a volume may be another user's
		return err
	}
	entries, err := os.ReadDir(d.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := filepath.Join(d.dir, e.Name())
		for _, ending := range dataEndings {
			if e.Type().IsRegular() && strings.HasSuffix(e.Name(), ending) {
				err = errors.Join(err, os.Chmod(path, 0o600))
			}
		}
		for _, tree := range dataTrees {
			if e.IsDir() && e.Name() == tree {
				err = errors.Join(err, tightenTree(path))
			}
		}
	}
	return err
}

func tightenTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case e.IsDir():
			return os.Chmod(path, 0o700)
		case e.Type().IsRegular():
			return os.Chmod(path, 0o600)
		}
		return nil // a link leads elsewhere
	})
}
