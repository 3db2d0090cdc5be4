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

const (
	startSaga = `INSERT INTO sagas (saga, correlation, subject, started, due) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	endSaga   = `INSERT INTO saga_ends (saga, correlation, subject, type, time) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	// An end counts by its correlation, or, where another saga brought it about
	// (a cancellation ends a placement), by the thing that both are about.
	settleSaga = `UPDATE sagas SET (ended, ended_by) = (SELECT e.time, e.type FROM saga_ends e
		WHERE e.saga = sagas.saga AND (e.correlation = sagas.correlation OR e.subject = sagas.subject AND e.time >= sagas.started)
		ORDER BY e.time LIMIT 1)
		WHERE saga = ?1 AND ended IS NULL AND (correlation = ?2 OR subject = ?3)`
)

var sagaWrites = []string{startSaga, endSaga, settleSaga}

// saga notes what an event begins and ends.
func (b *batch) saga(kind string, e *streams.Envelope) error {
	subject, t := kind+"/"+e.Key, nanos(e.Time)
	for _, s := range b.sagas.starts[e.Type] {
		if _, err := b.exec(startSaga, s.Name, e.Correlation, subject, t, nanos(e.Time.Add(s.Within))); err != nil {
			return err
		}
		if _, err := b.exec(settleSaga, s.Name, e.Correlation, subject); err != nil {
			return err
		}
	}
	for _, name := range b.sagas.ends[e.Type] {
		if _, err := b.exec(endSaga, name, e.Correlation, subject, e.Type, t); err != nil {
			return err
		}
		if _, err := b.exec(settleSaga, name, e.Correlation, subject); err != nil {
			return err
		}
	}
	return nil
}
