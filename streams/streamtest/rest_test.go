package streamtest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

type memo string

func (memo) Kind() string     { return "memo" }
func (m memo) String() string { return string(m) }

type (
	keep struct{ Memo memo }
	kept struct{ Memo memo }
)

func (e keep) Key() streams.Key { return e.Memo }
func (e kept) Key() streams.Key { return e.Memo }

// A business may wait for days. A run does not, and is over with the timer in place; that
// of a business which said nothing of the kind has run away.
func TestWhoWaitsForDaysIsAtRest(t *testing.T) {
	d := streams.Define("memo", memo(""), func(s struct{}, _ streams.Event) struct{} { return s },
		streams.OnCommand("keep", func(_ struct{}, c keep, _ streams.Input) streams.Decision {
			return streams.Emit(kept(c)).After("look", 30*time.Hour, c.Memo).Reply("kept")
		}, kept{}),
		streams.OnTimer("look", func(struct{}, memo, streams.Input) streams.Decision { return streams.Nothing() }))
	v, err := streams.NewVocabulary(streams.NewFact[kept]("memo.kept"))
	if err != nil {
		t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{{Name: "memos", Deciders: []*streams.Decider{d}}})
	if err != nil {
		t.Fatal(err)
	}
	for longest, want := range map[time.Duration]string{0: "its lane's clock has run away", 48 * time.Hour: ""} {
		s := &streamtest.Simulation{Topology: top, Longest: longest, Instances: 1, Work: func(w *streamtest.World) {
			if _, err := w.Send("k", "keep", keep{"m-1"}); err != nil {
				w.Violate("not kept: %v", err)
			}
		}}
		got := strings.Join(s.Run(t, streamtest.Schedule{Seed: 1}).Violations, "; ")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("with at most %s: %q, want %q", longest, got, want)
		}
	}
}
