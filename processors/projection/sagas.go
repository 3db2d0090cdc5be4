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

// An end counts by its correlation, or, where another saga brought it about (a
// cancellation ends a placement), by the thing that both are about. Either may
// be read before the start, and the earliest counts.
const (
	startSaga = `INSERT INTO sagas (saga, correlation, subject, started, due) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	keepEnd   = `INSERT INTO saga_ends (saga, correlation, subject, type, time) VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	// One statement for each index, and named: an OR over both, or the planner's
	// preference for the primary key, reads every saga of the name.
	endCorrelation = `UPDATE sagas SET ended = ?3, ended_by = ?4
		WHERE saga = ?1 AND correlation = ?2 AND (ended IS NULL OR ended > ?3)`
	endSubject = `UPDATE sagas INDEXED BY sagas_subject SET ended = ?3, ended_by = ?4
		WHERE saga = ?1 AND subject = ?2 AND started <= ?3 AND (ended IS NULL OR ended > ?3)`
	endStarted = `UPDATE sagas SET (ended, ended_by) = (SELECT time, type FROM (
			SELECT time, type FROM saga_ends WHERE saga = ?1 AND correlation = ?2
			UNION ALL
			SELECT time, type FROM saga_ends INDEXED BY saga_ends_subject WHERE saga = ?1 AND subject = ?3 AND time >= ?4) ORDER BY time LIMIT 1)
		WHERE saga = ?1 AND correlation = ?2 AND ended IS NULL`
)

var sagaWrites = []string{startSaga, keepEnd, endCorrelation, endSubject, endStarted}

// saga notes what an event begins and ends.
func (b *batch) saga(kind string, e *streams.Envelope) error {
	for _, s := range b.sagas.starts[e.Type] {
		if err := b.start(s, kind+"/"+e.Key, e); err != nil {
			return err
		}
	}
	for _, name := range b.sagas.ends[e.Type] {
		if err := b.end(name, kind+"/"+e.Key, e); err != nil {
			return err
		}
	}
	return nil
}

func (b *batch) start(s streams.Saga, subject string, e *streams.Envelope) error {
	at := nanos(e.Time)
	if _, err := b.exec(startSaga, s.Name, e.Correlation, subject, at, nanos(e.Time.Add(s.Within))); err != nil {
		return err
	}
	_, err := b.exec(endStarted, s.Name, e.Correlation, subject, at)
	return err
}

func (b *batch) end(saga, subject string, e *streams.Envelope) error {
	at := nanos(e.Time)
	if _, err := b.exec(keepEnd, saga, e.Correlation, subject, e.Type, at); err != nil {
		return err
	}
	if _, err := b.exec(endCorrelation, saga, e.Correlation, at, e.Type); err != nil {
		return err
	}
	_, err := b.exec(endSubject, saga, subject, at, e.Type)
	return err
}
