package kill

import "syscall"

// noOrphan lets the victim die with the test.
func noOrphan() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
