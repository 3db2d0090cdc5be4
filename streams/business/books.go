package business

import "github.com/weirstream/weir/streams"

// Books are what a business keeps for one audit, beside the invariants that the runtime
// keeps in any. They are told what the stores hold: a lane's events in their order, then
// its snapshots and timers; and after all lanes what others have posted to the log.
type Books interface {
	Event(e streams.Event)
	Snapshot(s streams.Snapshot)
	Timer(t streams.Timer)
	Posted(e streams.Event)
	// Judge compares the books with one another and with the outside, when all is told.
	Judge()
}

// Invariant is something that the books have to show.
type Invariant struct {
	Name string
	Of   string // what it is looked at on, in the plural: "orders"
}

// Audit is what books are kept for.
type Audit struct {
	// Settled says that nothing moves any more. Else only what holds at every moment is
	// to be judged.
	Settled bool
	// Complete says that all was posted that has ever been: the log was never trimmed.
	Complete bool
	// Acknowledged are the keys of the commands that were answered with a yes.
	Acknowledged []streams.Key
	// Ledger reads what an endpoint's simulator says has happened, {"keys": …, "books": …};
	// false if there is none.
	Ledger func(endpoint string, into any) bool
	Bad    func(invariant, format string, args ...any) // notes a violation
	Looked func(invariant string, n int)               // counts what an invariant was checked on
	Note   func(format string, args ...any)            // what is worth knowing and no violation
}

// Effects is the invariant that every outside effect happened once. The audit checks it on
// the keys of every ledger, and books may add to it.
const Effects = "effects"
