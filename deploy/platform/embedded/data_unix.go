//go:build unix && !solaris && !aix

package embedded

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// lockFile takes an open file or directory for this process, or tells that another
// has it. It is let go of when the file is closed, and when the process ends.
func lockFile(f *os.File) (free bool, err error) {
	switch err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); {
	case errors.Is(err, syscall.EWOULDBLOCK):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("data directory: %s cannot be locked: %w. It has to be on a local disk", f.Name(), err)
	}
	return true, nil
}

// alive tells whether there is a process.
func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

// onlyOurs has all that this process writes from now on be readable by its user
// alone, also what libraries write: the log and Prometheus choose modes of their own.
func onlyOurs() { syscall.Umask(0o077) }
