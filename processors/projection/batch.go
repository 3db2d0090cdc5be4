package projection

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// run is one Run: how far it has written, and what it needs to go on.
type run struct {
	*Writer
	*Reading
	cfg     Config
	epoch   int64
	pending []Move          // to be written again before all else
	next    map[place]int64 // the offsets to read next
	seen    map[source]int64
	ids     map[string]kadm.TopicID
	filling bool      // from an event store
	debt    *debt     // of a new read model, until it is settled
	history time.Time // what happened before it was told of once; zero if the rows go on
}

func (w *Writer) newRun(cfg Config) (*run, error) {
	if cfg.Business == nil || cfg.Topology == nil || cfg.Partitions < 1 {
		return nil, fmt.Errorf("%s needs a business, its topology and a partition count", cfg.What)
	}
	reading, err := NewReading(cfg.Business, cfg.Topology)
	if err != nil {
		return nil, err
	}
	reading.all = cfg.Decode
	return &run{Writer: w, Reading: reading, cfg: cfg, next: map[place]int64{}, seen: map[source]int64{}, ids: map[string]kadm.TopicID{}}, nil
}

// take writes what was fetched, and does not give up while the store is away:
// a batch of which a part is written must become whole before the next one.
func (r *run) take(ctx context.Context, fetches kgo.Fetches) error {
	now := r.cfg.Now()
	if recs := fetches.Records(); len(recs) > 0 {
		if err := r.records(ctx, now, inOrder(recs), patientTries); err != nil {
			return err
		}
	}
	r.stats.record(now, fetches)
	return nil
}

// inOrder sorts records by their places, so that the same ones always make the same batch:
// of two events from outside with one name the same one is the repeat.
func inOrder(recs []*kgo.Record) []*kgo.Record {
	slices.SortStableFunc(recs, func(a, b *kgo.Record) int {
		return cmp.Or(strings.Compare(a.Topic, b.Topic), cmp.Compare(a.Partition, b.Partition))
	})
	return recs
}

// records writes records. Those that hold what the store refuses are found by
// halves, and set aside.
func (r *run) records(ctx context.Context, now time.Time, recs []*kgo.Record, tries int) error {
	b, err := r.whole(ctx, now, recs)
	if err != nil {
		return err
	}
	err = r.write(ctx, b, tries)
	switch {
	case !errors.Is(err, ErrRefused) && !errors.Is(err, ErrUnclear):
		return err
	case len(recs) == 1:
		return r.setAside(ctx, now, recs[0], err)
	}
	half := len(recs) / 2
	if err := r.records(ctx, now, recs[:half], hastyTries); err != nil {
		return err
	}
	return r.records(ctx, now, recs[half:], hastyTries)
}

// news leaves out what happened before a read model that is built again began to
// be built: whoever measures has measured it once, and in its time.
func (r *run) news(events []Event) []Event {
	if r.history.IsZero() {
		return events
	}
	return slices.DeleteFunc(slices.Clone(events), func(e Event) bool { return e.Time.Before(r.history) })
}

// write insists on a batch, and tells of it once it is in the rows.
func (r *run) write(ctx context.Context, b *Batch, tries int) error {
	if err := r.insist(ctx, tries, func() error { return r.sink.Write(ctx, b) }); err != nil {
		return err
	}
	for _, m := range b.Moves {
		r.at(m.Topic, m.Partition, m.Next, m.Seen)
	}
	for _, x := range b.Skipped {
		r.cfg.Log.WarnContext(ctx, "a record is not in "+r.cfg.What, "topic", x.Topic, "partition", x.Partition, "offset", x.Offset, "because", x.Reason)
	}
	r.tell(b)
	if events := r.news(b.Events); r.cfg.Written != nil && len(events) > 0 {
		r.cfg.Written(events)
	}
	r.notify()
	return nil
}

// setAside goes on without a record that the store refused, and leaves a note of
// it; but only if the store takes other things: one that takes nothing has
// trouble of its own.
func (r *run) setAside(ctx context.Context, now time.Time, rec *kgo.Record, cause error) error {
	nothing := &Batch{Epoch: r.epoch, Forget: now.Add(-r.cfg.Window)}
	at := place{rec.Topic, rec.Partition}
	nothing.Moves = []Move{{Topic: at.topic, Partition: at.partition, From: r.next[at], Next: r.next[at]}}
	if err := r.write(ctx, nothing, patientTries); err != nil {
		return fmt.Errorf("%s cannot be written: %w", r.cfg.What, err)
	}
	b, err := r.read(ctx, now, []*kgo.Record{rec})
	if err != nil {
		return err
	}
	err = r.write(ctx, b, 1)
	if !errors.Is(err, ErrRefused) && !errors.Is(err, ErrUnclear) {
		return err // it was the store after all
	}
	b.Events, b.Externals = nil, nil
	b.Skipped = []Skipped{{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset, At: now, Reason: text("set aside: "+cause.Error(), maxReason)}}
	if err := r.write(ctx, b, patientTries); err != nil {
		return fmt.Errorf("record %s/%d@%d cannot be set aside: %w", rec.Topic, rec.Partition, rec.Offset, err)
	}
	return nil
}

// tell says which documents a batch has changed, each once.
func (r *run) tell(b *Batch) {
	if r.cfg.Changed == nil {
		return
	}
	of := map[string][]string{}
	for i := range b.Events {
		for _, c := range b.Events[i].Changes {
			of[c.View] = append(of[c.View], c.Key)
		}
	}
	for _, v := range r.cfg.Business.Views() {
		if keys := of[v.Name]; len(keys) > 0 {
			slices.Sort(keys)
			r.cfg.Changed(v, slices.Compact(keys))
		}
	}
}

// at makes a position the one to go on from.
func (r *run) at(topic string, partition int32, next int64, seen map[streams.Lane]int64) {
	p := place{topic, partition}
	r.next[p] = next
	for lane, seq := range seen {
		r.seen[source{p, lane}] = seq
	}
}

// reader makes a batch of records.
type reader struct {
	*run
	now   time.Time
	batch *Batch
	logs  map[place]*partition
	known map[streams.ExternalID]bool // events from outside that were read before
}

// partition is how far one of them is read.
type partition struct {
	*streams.LogReader
	from int64
}

func (r *run) read(ctx context.Context, now time.Time, recs []*kgo.Record) (*Batch, error) {
	b := &reader{run: r, now: now, logs: map[place]*partition{}, batch: &Batch{Epoch: r.epoch, Forget: now.Add(-r.cfg.Window)}}
	all := make([]received, len(recs))
	var outside []streams.ExternalID
	for i, rec := range recs {
		all[i] = b.open(rec)
		if e := &all[i]; e.reading == streams.ReadOutside && e.aside == nil {
			outside = append(outside, streams.ExternalID{Source: e.Source, ID: e.ID})
		}
	}
	if err := b.ask(ctx, outside); err != nil {
		return nil, err
	}
	for i := range all {
		if err := b.record(&all[i]); err != nil {
			return nil, err
		}
	}
	for at, log := range b.logs {
		b.batch.Moves = append(b.batch.Moves, Move{Topic: at.topic, Partition: at.partition, From: log.from, Next: log.Next, Seen: log.Took})
	}
	return b.batch, nil
}

// log is the partition of a record, as far as it is read.
func (b *reader) log(rec *kgo.Record) *partition {
	at := place{rec.Topic, rec.Partition}
	p := b.logs[at]
	if p == nil {
		before := func(l streams.Lane) (int64, bool) { seq, ok := b.seen[source{at, l}]; return seq, ok }
		p = &partition{streams.NewLogReader(b.next[at], true, before), b.next[at]}
		b.logs[at] = p
	}
	return p
}

// ask learns which events from outside are repeats.
func (b *reader) ask(ctx context.Context, ids []streams.ExternalID) error {
	b.known = map[streams.ExternalID]bool{}
	if len(ids) == 0 {
		return nil
	}
	return b.insist(ctx, patientTries, func() (err error) {
		b.known, err = b.sink.Known(ctx, ids)
		return err
	})
}

// record takes one record, or passes over it.
func (b *reader) record(rec *received) error {
	switch rec.reading {
	case streams.ReadUnreadable:
		b.skip(rec, rec.err)
		return nil
	case streams.ReadControl, streams.ReadReplayed, streams.ReadRepeat, streams.ReadBehind:
		return nil
	case streams.ReadHole:
		if !b.accepts(*rec.hole) {
			return rec.hole
		}
		b.skip(rec, fmt.Errorf("what lane %s wrote before it, after number %d and up to %d, is lost: a person has accepted that",
			rec.Lane, rec.hole.Seen, rec.Prev))
	case streams.ReadOutside:
		if rec.aside == nil && b.repeated(rec) {
			return nil
		}
	}
	if rec.aside != nil {
		b.skip(rec, rec.aside)
		return nil
	}
	return b.event(rec)
}

// repeated tells an event from outside that was read before.
func (b *reader) repeated(rec *received) bool {
	id := streams.ExternalID{Source: rec.Source, ID: rec.ID}
	if b.known[id] {
		return true
	}
	b.known[id] = true
	b.batch.Externals = append(b.batch.Externals, streams.ExternalID{Source: id.Source, ID: id.ID, At: b.now})
	return false
}

// skip leaves a note of a record that is no event of ours, or that no row can
// keep: it stops nobody.
func (b *reader) skip(rec *received, reason error) {
	b.batch.Skipped = append(b.batch.Skipped, Skipped{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset, At: b.now,
		Reason: text(reason.Error(), maxReason)})
}

// event says what an event means. One whose data does not fit its type is
// passed over.
func (b *reader) event(rec *received) error {
	e, err := b.Event(&rec.Envelope, rec.Topic, rec.Partition, rec.Offset)
	var bad *dataError
	if errors.As(err, &bad) {
		b.skip(rec, bad.err)
		return nil
	}
	if err != nil {
		return err
	}
	b.batch.Events = append(b.batch.Events, e)
	return nil
}
