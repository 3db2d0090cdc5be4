//go:build real

package clickhouse_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/analyticstest"
)

// A server that cannot write for a while is waited for, whatever the reason, and nothing is
// lost or doubled.
func TestAServerInTrouble(t *testing.T) {
	for name, code := range map[string]int{"read-only": 164, "full": 243, "of too many parts": 252, "out of memory": 241, "busy": 202, "of a table that is read-only": 242, "slow": 159} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p, r := emptyBehind(t)
			s, err := p.Open(analyticstest.Schema(t))
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var until, refused atomic.Int64
			until.Store(time.Now().Add(time.Hour).UnixNano())
			r.fails = func(query string) int {
				if strings.HasPrefix(query, "INSERT") && time.Now().UnixNano() < until.Load() && refused.Add(1) > 3 {
					return code
				}
				return 0
			}
			time.AfterFunc(2*time.Second, func() { until.Store(0) })
			analyticstest.Fill(t, s)
			if refused.Load() < 5 {
				t.Errorf("it refused %d requests", refused.Load())
			}
			sound(t, s)
		})
	}
}

// sound compares what is there with what was written.
func sound(t testing.TB, s analytics.Store) {
	t.Helper()
	newest, err := s.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sums, err := s.Sums(t.Context(), 0, newest)
	if err != nil {
		t.Fatal(err)
	}
	blocks, err := s.Blocks(t.Context(), 0, int(newest))
	if err != nil || len(blocks) == 0 {
		t.Fatalf("there are %d blocks (%v)", len(blocks), err)
	}
	for _, b := range blocks {
		for table, want := range b.Tables {
			if have := sums[b.Number][table]; have != want {
				t.Errorf("block %d has %v of %s, and %v was written", b.Number, have, table, want)
			}
		}
	}
}
