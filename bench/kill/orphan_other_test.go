//go:build !linux

package kill

import "syscall"

func noOrphan() *syscall.SysProcAttr { return nil }
