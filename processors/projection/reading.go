package projection

import (
	"encoding/json"
	"fmt"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Reading says what events mean for the rows. It follows from the business alone.
type Reading struct {
	vocabulary *streams.Vocabulary
	meanings   map[string]*meaning // of events, by their types
	histories  []string            // the kinds of keys whose history can be asked for
	kinds      map[string]string   // of the keys, by topic
	sagas      sagaTypes
	all        bool // events of all types are decoded
}

// NewReading is that of a business, whose topology is given. Its events come with their
// values.
func NewReading(b *business.Business, t *streams.Topology) (*Reading, error) {
	r := &Reading{vocabulary: t.Vocabulary, meanings: meanings(b, t.Vocabulary), kinds: map[string]string{}, all: true}
	for _, topic := range t.Topics() {
		r.kinds[topic.Name] = topic.Kind
	}
	r.histories, _ = HistoryKinds(b.Views())
	var err error
	r.sagas, err = readSagas(t.Vocabulary, b.Sagas)
	return r, err
}

// Event is what an envelope means that was read at a place. Its correlation is kept as it
// stands. An error says why no row can keep it, or that data do not fit their type; a
// *streams.NewerVersionError that newer code wrote them.
func (r *Reading) Event(env *streams.Envelope, topic string, partition int32, offset int64) (Event, error) {
	if err := unkept(env); err != nil {
		return Event{}, &dataError{err}
	}
	if !json.Valid(env.Data) {
		return Event{}, &dataError{fmt.Errorf("the data of %s %s is not JSON", env.Type, env.ID)}
	}
	kind, ok := r.kinds[topic]
	if m := r.meanings[env.Type]; !ok && m != nil { // it is from no topic of ours
		kind = m.fact.Kind
	}
	value, err := r.decode(env)
	if err != nil {
		return Event{}, err
	}
	changes, err := r.changes(value, env)
	if err != nil {
		return Event{}, err
	}
	about, err := r.about(kind, env)
	if err != nil {
		return Event{}, err
	}
	e := Event{About: about, Changes: changes, Value: value, Entry: Entry{
		ID: env.ID, Type: env.Type, Version: env.Version, Source: env.Source, Kind: kind, Key: env.Key, Correlation: env.Correlation, Causation: env.Causation,
		Time: env.Time, Lane: string(env.Lane), Seq: env.Seq, Topic: topic, Partition: partition, Offset: offset,
		Traceparent: env.Traceparent, Data: r.vocabulary.Impersonal(env.Type, env.Version, env.Data)}}
	e.Starts, e.Ends = r.sagas.of(env)
	return e, nil
}
