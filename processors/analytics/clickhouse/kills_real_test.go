//go:build real

package clickhouse_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/analyticstest"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

// A writer is killed again and again, each time before or after some request of its life
// reached the server: WEIR_KILLS says how often, WEIR_SEED where.
func TestKills(t *testing.T) {
	k := newKiller(t)
	analyticstest.Kills(t, k.place, k.kills, k.arm)
}

// Mistakes that a writer could make are found by the same kills.
func TestKillsFindMistakes(t *testing.T) {
	same := func(s projection.Sink) projection.Sink { return s }
	var writes atomic.Int64
	for name, m := range map[string]struct {
		sink    func(projection.Sink) projection.Sink
		request func(*http.Request)
	}{
		"nothing tells a block that comes again": {same, func(r *http.Request) {
			if q := r.URL.Query(); !insertsInto(q.Get("query"), analytics.BlocksTable) {
				q.Del("insert_deduplication_token") // by which a block is known
				q.Del("insert_deduplicate")
				q.Set("deduplicate_insert", "disable") // or by its content
				r.URL.RawQuery = q.Encode()
			}
		}},
		"a block that is half written is taken for whole": {func(s projection.Sink) projection.Sink { return hasty{s} }, nil},
		"a block that is not what the log has":            {func(s projection.Sink) projection.Sink { return forgetful{s, &writes} }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			k := newKiller(t)
			place := func(t testing.TB) analyticstest.Place {
				p := k.place(t)
				k.relay.spoil = m.request
				return p
			}
			if found := analyticstest.KillsOf(t, place, 25, k.arm, m.sink); len(found) == 0 {
				t.Error("nothing was found")
			}
		})
	}
}

// hasty takes what may be half written for done, and goes on after it.
type hasty struct{ projection.Sink }

func (h hasty) Claim(ctx context.Context, n int32, read []projection.Cursor) (projection.Claim, error) {
	c, err := h.Sink.Claim(ctx, n, read)
	if err != nil || len(c.Pending) == 0 {
		return c, err
	}
	if err := h.Sink.Write(ctx, &projection.Batch{Epoch: c.Epoch, Moves: c.Pending}); err != nil {
		return c, err
	}
	for i := range c.Cursors {
		for _, m := range c.Pending {
			if at := &c.Cursors[i]; at.Topic == m.Topic && at.Partition == m.Partition {
				seen := maps.Clone(at.Seen)
				if seen == nil {
					seen = map[streams.Lane]int64{}
				}
				maps.Copy(seen, m.Seen)
				at.Next, at.Seen = m.Next, seen
			}
		}
	}
	c.Pending = nil
	return c, nil
}

// forgetful leaves out an event of every third batch.
type forgetful struct {
	projection.Sink
	writes *atomic.Int64
}

func (f forgetful) Write(ctx context.Context, b *projection.Batch) error {
	c := *b
	if f.writes.Add(1)%3 == 0 && len(c.Events) > 0 {
		c.Events = c.Events[1:]
	}
	return f.Sink.Write(ctx, &c)
}

type killer struct {
	kills  int
	chance *rand.Rand
	relay  *relay
}

func newKiller(t testing.TB) *killer {
	k := &killer{kills: 80}
	seed := rand.Uint64()
	if n, err := strconv.Atoi(os.Getenv("WEIR_KILLS")); err == nil {
		k.kills = n
	}
	if n, err := strconv.ParseUint(os.Getenv("WEIR_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("WEIR_SEED=%d", seed)
	k.chance = rand.New(rand.NewPCG(seed, 1))
	return k
}

func (k *killer) place(t testing.TB) (p analyticstest.Place) {
	p, k.relay = emptyBehind(t)
	return p
}

// arm kills at one of the first requests of a life, mostly at one that writes.
func (k *killer) arm(_ testing.TB, kill func()) func() bool {
	left, w, any := 1+k.chance.IntN(14), []when{before, after}[k.chance.IntN(2)], k.chance.IntN(5) == 0
	if any {
		left = 1 + k.chance.IntN(60)
	}
	var mu sync.Mutex
	dead := false
	k.relay.set(func(query string) when {
		mu.Lock()
		defer mu.Unlock()
		if dead {
			return before // the dead ask nothing
		}
		if !any && !strings.HasPrefix(query, "INSERT") {
			return never
		}
		if left--; left > 0 {
			return never
		}
		dead = true
		kill()
		return w
	})
	return func() bool {
		k.relay.set(nil)
		mu.Lock()
		defer mu.Unlock()
		return dead
	}
}
