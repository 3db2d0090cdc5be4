package sqlite

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// noteFile remembers which file it is that was opened.
func (s *Store) noteFile() (err error) {
	s.file, err = os.Stat(s.path)
	return err
}

// sameFile reports that another file, or none, is where the store's was: what is
// written still goes to the file that was opened, which nobody will find again.
func (s *Store) sameFile() error {
	now, err := os.Stat(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("its file was removed under this process")
	case err == nil && !os.SameFile(now, s.file):
		err = errors.New("another file was put in its place under this process")
	case err == nil:
		return nil
	}
	return fmt.Errorf("%w. What was committed since the process began is in the file that it has open: stop it, and put the newest copy there", err)
}
