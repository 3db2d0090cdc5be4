//go:build !weirbugs

package streams

// planted tells whether a bug is planted: in this build, none. The auditor's
// test builds with the tag weirbugs, to see that each of them is found out.
func planted(bug) bool { return false }

// planted is that of a lane: none.
func (l *lane) planted(bug) bool { return false }

func forget(x Decision) Decision { return x }
