//go:build weirbugs

package streams

import (
	"os"
	"reflect"
	"slices"
)

// planted tells whether WEIR_BUG names the bug.
func planted(b bug) bool { return os.Getenv("WEIR_BUG") == string(b) }

// planted spares a lane that decides its stored inputs again and publishes
// nothing: the judge has no bugs.
func (l *lane) planted(b bug) bool { return l.client != nil && planted(b) }

// forget loses what compensates, as a service with a hole in it would.
func forget(x Decision) Decision {
	if planted(bugLoseRelease) {
		x.events = slices.DeleteFunc(slices.Clone(x.events), func(e Event) bool { return reflect.TypeOf(e).Name() == "HoldReleased" })
	}
	if planted(bugLoseVoid) {
		x.intents = slices.DeleteFunc(slices.Clone(x.intents), func(i Intent) bool { return i.effect.name == "void" })
	}
	return x
}
