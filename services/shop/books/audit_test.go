package books_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
)

func TestAGoodDayBalances(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, sim.Faults{}, slog.New(slog.DiscardHandler))
		s.day()
		in := s.input()
		r, err := audit.Check(t.Context(), in)
		check(t, err)
		t.Logf("\n%s", r)
		if !r.OK() {
			t.Error("a good day does not balance")
		}
		for _, i := range r.Invariants {
			if i.Looked == 0 {
				t.Errorf("%s looked at nothing", i.Name)
			}
		}
		s.shut()
	})
}

func TestAtWorkItBalancesToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := open(t, sim.Faults{Errors: 0.3, LatencyMS: 40}, slog.New(slog.DiscardHandler))
		s.deliver("d1", "tin", 90)
		time.Sleep(3 * time.Second)
		for i := range 12 {
			s.place("o-"+string(rune('a'+i)), "tok", line("tin", 2), line("jar", 1))
			in := s.input()
			in.Settled = false
			r, err := audit.Check(context.Background(), in)
			check(t, err)
			if !r.OK() {
				t.Errorf("after %d orders:\n%s", i+1, r)
			}
		}
		s.shut()
	})
}
