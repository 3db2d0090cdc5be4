//go:build !unix || solaris || aix

package embedded

import (
	"errors"
	"os"
)

// lockFile is not there: without a lock that ends with its process, a directory
// is not safe, and a memory of who had it would have to be removed by hand.
func lockFile(*os.File) (free bool, err error) {
	return false, errors.New("data directory: this system has no locks that end with their process: run weir on Linux, macOS or a BSD")
}

func alive(int) bool { return false }

func onlyOurs() {}
