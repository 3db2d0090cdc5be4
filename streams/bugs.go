package streams

// bug names a mistake that the runtime must not make. Builds with the tag
// weirbugs make the one that the environment's WEIR_BUG names; in all others
// the compiler removes the places.
type bug string

const (
	bugNoDedup       bug = "no-dedup"          // a repeated record is decided about again
	bugOffsetsFirst  bug = "offsets-first"     // the cursor is committed before what it guards
	bugPublishFirst  bug = "publish-first"     // events are published before they are stored
	bugReorder       bug = "reordered-publish" // a batch's events are published in another order
	bugLosePublished bug = "lost-publish"      // a record that failed is taken as sent
	bugKeyPerAttempt bug = "key-per-attempt"   // each attempt at an effect has its own key
	bugCommandAgain  bug = "command-again"     // a repeated command is decided about again
	bugLoseRelease   bug = "lost-release"      // a compensation is not emitted
	bugLoseVoid      bug = "lost-void"         // a compensating effect is not asked for
)
