package projection

import (
	"fmt"

	"github.com/weirstream/weir/streams"
)

// sagaTypes are the declared sagas by the event types that begin and end them.
type sagaTypes struct {
	starts map[string][]streams.Saga
	ends   map[string][]string
}

func readSagas(v *streams.Vocabulary, sagas []streams.Saga) (sagaTypes, error) {
	t := sagaTypes{map[string][]streams.Saga{}, map[string][]string{}}
	for _, s := range sagas {
		f, ok := v.FactOf(s.Starts)
		if !ok {
			return t, fmt.Errorf("saga %s starts with %T, which is no registered event", s.Name, s.Starts)
		}
		t.starts[f.Name] = append(t.starts[f.Name], s)
		for _, e := range s.Ends {
			f, ok := v.FactOf(e)
			if !ok {
				return t, fmt.Errorf("saga %s ends with %T, which is no registered event", s.Name, e)
			}
			t.ends[f.Name] = append(t.ends[f.Name], s.Name)
		}
	}
	return t, nil
}

// of says what an event begins and ends.
func (t sagaTypes) of(e *streams.Envelope) (starts []Start, ends []string) {
	for _, s := range t.starts[e.Type] {
		starts = append(starts, Start{Name: s.Name, Due: e.Time.Add(s.Within)})
	}
	return starts, t.ends[e.Type]
}
