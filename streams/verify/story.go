package verify

import (
	"hash/maphash"

	"github.com/weirstream/weir/streams"
)

// stories are the sagas that events belong to, by the hash of their ids, and
// what followed from which of them.
type stories struct {
	of      map[uint64]string // correlations; "" where two sources use one id
	follows []follow
}

// follow is an event and what caused it.
type follow struct {
	lane               streams.Lane
	seq                int64
	cause, correlation string
}

func (s *stories) event(e *streams.Envelope) {
	id := maphash.String(seed, e.ID)
	if have, ok := s.of[id]; ok && have != e.Saga() {
		s.of[id] = ""
		return
	}
	s.of[id] = e.Saga()
}

func (s *stories) followed(name streams.Lane, seq int64, e *streams.Envelope) {
	s.event(e)
	s.follows = append(s.follows, follow{name, seq, e.Causation, e.Correlation})
}

// judgeStories finds events that do not belong to the saga of the event that
// caused them. Deciding again would not: it hands correlations on by the same code.
func (c *checker) judgeStories() {
	for _, f := range c.stories.follows {
		saga, ok := c.stories.of[maphash.String(seed, f.cause)]
		if !ok || saga == "" {
			continue // caused by a command, a timer or an outcome
		}
		if c.looked(Story, 1); saga != f.correlation {
			c.bad(Story, "lane %s: event %d belongs to saga %q, and %s, which caused it, to %q", f.lane, f.seq, f.correlation, f.cause, saga)
		}
	}
}
