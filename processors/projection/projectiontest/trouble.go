package projectiontest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
)

var troubleCases = []testCase{
	{"RepeatsAreSkipped", repeatsAreSkipped},
	{"AHoleStops", aHoleStops},
	{"AHoleIsAccepted", aHoleIsAccepted},
	{"OneLaneInSeveralPartitions", oneLaneInSeveralPartitions},
	{"ARestartGoesOnFromTheCursor", aRestartGoesOnFromTheCursor},
	{"WhatIsNoEventIsPassedOver", whatIsNoEventIsPassedOver},
	{"WhatNoRowCanKeepIsSetAside", whatNoRowCanKeepIsSetAside},
	{"WhatAPersonWroteIsKept", whatAPersonWroteIsKept},
	{"ARecordThatTheStoreRefuses", aRecordThatTheStoreRefuses},
	{"AStoreThatFailsForAWhile", aStoreThatFailsForAWhile},
	{"AStoreThatTakesNothing", aStoreThatTakesNothing},
	{"AnEventFromOutsideJoinsNoSaga", anEventFromOutsideJoinsNoSaga},
	{"ATopicMadeAnewUnderARun", aTopicMadeAnewUnderARun},
	{"ARunIsBuiltFromTheEventStores", aRunIsBuiltFromTheEventStores},
	{"ANewerVersionStops", aNewerVersionStops},
	{"ALogThatIsNotTheSameStops", aLogThatIsNotTheSameStops},
	{"ATruncatedLogDoesNotBeginAReadModel", aTruncatedLogDoesNotBeginAReadModel},
	{"AnotherPartitionCountStops", anotherPartitionCountStops},
}

func repeatsAreSkipped(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	a, b := w.Record("c1", asked("o1", "ada")), w.Record("c1", Approved{Loan: "o1"})
	l.Produce(a, b, a, b, b)
	l.Produce(outside("dock", "d1", "A"), outside("dock", "d1", "A"), outside("other-dock", "d1", "A"))
	again := streams.Envelope{ID: "r1", Type: "loan.withdrawn", Key: "o1", ReplayID: "replay-1", Data: []byte(`{"loan":"o1"}`)}
	l.Produce(again.Record(a.Topic, a.Partition))
	c := w.Record("c1", Ready{Loan: "o1"})
	l.Produce(c)
	readAll(p, s, l.Config(), w.last)
	l.Produce(outside("dock", "d1", "A"))
	w.Emit("c1", Delayed{Loan: "o1"})
	readAll(p, s, l.Config(), w.last) // and nothing is read twice

	if h, _ := s.History(ctx, "loan", "o1"); len(h) != 4 {
		p.Errorf("history has %d events, want 4", len(h))
	}
	for _, source := range []string{"dock", "other-dock"} {
		if d1, err := s.Events(ctx, source+"#d1"); err != nil || len(d1) != 1 {
			p.Errorf("%d events of %s have id d1, want 1 (%v)", len(d1), source, err)
		}
	}
	if o, _ := s.Document(ctx, Loans, "o1"); o.State != "ready" {
		p.Errorf("state is %s after a replayed withdrawal", o.State)
	}
}

func aHoleStops(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"))
	readAll(p, s, l.Config(), w.last)
	w.Record("c1", Approved{Loan: "o1"}) // never arrives
	w.Emit("c1", Ready{Loan: "o1"})
	for range 2 { // and a restart does not get over it
		var hole *projection.HoleError
		if err := failure(p, s, l.Config()); !errors.As(err, &hole) || hole.Seen != 1 || hole.Prev != 2 || hole.Seq != 3 || hole.Topic != "desk.loan" || hole.Lane != w.lane {
			p.Fatalf("stopped with %v", err)
		}
	}
	if o, _ := s.Document(ctx, Loans, "o1"); o.State != "asked" {
		p.Errorf("state is %s: something beyond the hole was applied", o.State)
	}
}

// A hole that a stranger's lane left is in no event store. A person may accept that
// it is lost: that hole and no other, and a note says so.
func aHoleIsAccepted(p *place) {
	l, s := NewLog(p), p.model()
	cfg, wanted := l.Config(), []string{}
	cfg.Stores = func(_ context.Context, service string) (streams.Store, error) {
		wanted = append(wanted, service)
		return nil, errors.New("there is no event store of " + service)
	}
	cfg.Log = slog.New(slog.DiscardHandler)
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"))
	part := streams.Partition("o1", Partitions)
	foreign := func(id string, seq, prev int64) {
		e := streams.Envelope{ID: id, Type: "loan.delayed", Version: 1, Source: "desk", Key: "o1", Time: noon, Correlation: "c9",
			Lane: "stranger/0/i9", Seq: seq, Prev: prev, Data: []byte(`{"loan":"o1"}`)}
		l.Produce(e.Record("desk.loan", part))
	}
	stopped := func() *projection.HoleError {
		p.Helper()
		var hole *projection.HoleError
		if err := failure(p, s, cfg); !errors.As(err, &hole) || hole.Lane != "stranger/0/i9" {
			p.Fatalf("stopped with %v", err)
		}
		return hole
	}
	foreign("f1", 8, 7)
	foreign("f2", 20, 15)
	first := stopped()
	if slices.Contains(wanted, "stranger") {
		p.Error("a stranger's name was asked for as that of an event store")
	}
	s.Accept(first)
	second := stopped() // the one is not the other
	if first.Prev != 7 || second.Prev != 15 {
		p.Fatalf("holes before %d and %d, want 7 and 15", first.Prev, second.Prev)
	}
	s.Accept(second)
	w.Emit("c1", Approved{Loan: "o1"})
	readAll(p, s, cfg, w.last)
	again := projection.New(s.Store) // which has accepted nothing
	w.Emit("c1", Ready{Loan: "o1"})
	readAll(p, again, cfg, w.last)
	if h, err := s.Events(ctx, "c9"); err != nil || len(h) != 2 {
		p.Errorf("%d events of the stranger, want 2 (%v)", len(h), err)
	}
	skips, err := s.Skips(ctx)
	if err != nil || len(skips) != 2 || !strings.Contains(skips[0].Reason, "a person has accepted") {
		p.Errorf("notes: %+v (%v)", skips, err)
	}
}

// A lane writes to several partitions of a topic, between which there is no
// order: a higher sequence in one is no repeat and no hole in another.
func oneLaneInSeveralPartitions(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	var recs []*kgo.Record
	var tokens []streams.Token
	for i := range 60 {
		recs = append(recs, w.Record("c", CopyWanted{Title: TitleID(fmt.Sprint("S", i)), Loan: "o1", Copies: 1}))
		tokens = append(tokens, w.last)
	}
	slices.SortStableFunc(recs, func(a, b *kgo.Record) int { return int(b.Partition - a.Partition) })
	l.Produce(recs...)
	readAll(p, s, l.Config(), tokens...)
	if h, _ := s.Events(ctx, "c"); len(h) != 60 {
		p.Errorf("%d events, want 60", len(h))
	}
}

func aRestartGoesOnFromTheCursor(p *place) {
	l := NewLog(p)
	w := l.Writer("desk", 0)
	var want []string
	for round := range 5 {
		for i := range 40 {
			id := fmt.Sprintf("o%d-%d", round, i)
			want = append(want, id)
			w.Emit("c-"+id, asked(id, "ada"))
		}
		s := p.model()
		stop := Start(p, s, l.Config())
		if round%2 == 0 { // in the others it ends wherever it is
			await(p, s, w.last)
		}
		if err := stop(); err != nil {
			p.Fatal(err)
		}
		if err := s.Close(); err != nil {
			p.Fatal(err)
		}
	}
	s := p.model()
	readAll(p, s, l.Config(), w.last)
	for _, id := range want {
		h, err := s.History(ctx, "loan", id)
		x, serr := s.Saga(ctx, "c-"+id)
		if err != nil || serr != nil || len(h) != 1 || x[0].Events != 1 {
			p.Fatalf("%s has %d events, want 1 (%v, %v)", id, len(h), err, serr)
		}
	}
}

func whatIsNoEventIsPassedOver(p *place) {
	l, s := NewLog(p), p.model()
	l.Produce(&kgo.Record{Topic: "desk.loan", Partition: 0, Key: []byte("x"), Value: []byte("hello")})
	bad := streams.Envelope{ID: "e1", Type: "loan.asked", Source: "x", Key: "o1", Time: noon, Lane: "desk/1/i1", Seq: 1, Data: []byte(`{"titles":7}`)}
	l.Produce(bad.Record("desk.loan", 0))
	bad.ID, bad.Seq, bad.Prev, bad.Data = "e2", 2, 1, []byte(`{"titles"`)
	l.Produce(bad.Record("desk.loan", 0))
	odd := bad
	odd.ID, odd.Seq, odd.Prev, odd.Correlation, odd.Data = "e3", 3, 2, "\xff", []byte(`{}`)
	l.Produce(odd.Record("desk.loan", 0))
	forged := streams.Envelope{ID: "e4", Type: "loan.asked", Source: "x", Key: "o2", Time: noon, Data: []byte(`{"loan":"o2"}`)}
	l.Produce(forged.Record("desk.loan", 0))
	w := l.Writer("desk", 0)
	last := "o1" // behind them, in their partition
	for n := 1; streams.Partition(last, Partitions) != 0; n++ {
		last = fmt.Sprint("o", n)
	}
	w.Emit("c1", asked(last, "ada"))
	readAll(p, s, l.Config(), w.last)
	skips, err := s.Skips(ctx)
	if err != nil || len(skips) != 5 {
		p.Errorf("passed over %+v, want 5 records (%v)", skips, err)
	}
}

func aNewerVersionStops(p *place) {
	l, s := NewLog(p), p.model()
	e := streams.Envelope{ID: "e1", Type: "loan.asked", Version: 2, Key: "o1", Time: noon, Lane: "desk/0/i1", Seq: 1, Data: []byte(`{}`)}
	l.Produce(e.Record("desk.loan", 0))
	var newer *streams.NewerVersionError
	if err := failure(p, s, l.Config()); !errors.As(err, &newer) {
		p.Errorf("stopped with %v", err)
	}
}

func aLogThatIsNotTheSameStops(p *place) {
	for _, c := range []struct {
		name, want string
		spoil      func(l *Log, topic string, partition int32) error
	}{
		{"truncated", "the log was truncated", func(l *Log, topic string, partition int32) error {
			var o kadm.Offsets
			o.AddOffset(topic, partition, 3, -1)
			res, err := l.admin().DeleteRecords(ctx, o)
			return errors.Join(err, res.Error())
		}},
		{"made again", "deleted and made again", func(l *Log, topic string, partition int32) error {
			if _, err := l.admin().DeleteTopic(ctx, topic); err != nil {
				return err
			}
			_, err := l.admin().CreateTopic(ctx, Partitions, 1, nil, topic)
			return err
		}},
		{"missing", "make the topology's topics first", func(l *Log, topic string, partition int32) error {
			_, err := l.admin().DeleteTopic(ctx, topic)
			return err
		}},
		{"grown", "has 4 partitions, the platform has 3", func(l *Log, topic string, partition int32) error {
			_, err := l.admin().CreatePartitions(ctx, 1, topic)
			return err
		}},
	} {
		p.Run(c.name, func(t *testing.T) {
			l, s := NewLog(t), opened(t, p.empty(t))
			w := l.Writer("desk", 0)
			w.Emit("c1", asked("o1", "ada"))
			readAll(t, s, l.Config(), w.last)
			w.Emit("c1", Approved{Loan: "o1"}, Ready{Loan: "o1"})
			if err := c.spoil(l, "desk.loan", streams.Partition("o1", Partitions)); err != nil {
				t.Fatal(err)
			}
			if err := failure(t, s, l.Config()); !strings.Contains(err.Error(), c.want) {
				t.Errorf("stopped with %v, want %q", err, c.want)
			}
		})
	}
}

func aTruncatedLogDoesNotBeginAReadModel(p *place) {
	l, s := NewLog(p), p.model()
	w := l.Writer("desk", 0)
	w.Emit("c1", asked("o1", "ada"), Approved{Loan: "o1"})
	var o kadm.Offsets
	o.AddOffset("desk.loan", streams.Partition("o1", Partitions), 1, -1)
	if _, err := l.admin().DeleteRecords(ctx, o); err != nil {
		p.Fatal(err)
	}
	if err := failure(p, s, l.Config()); !strings.Contains(err.Error(), "the log was truncated") {
		p.Errorf("stopped with %v", err)
	}
}

func anotherPartitionCountStops(p *place) {
	s := p.model()
	if _, err := s.Claim(ctx, Partitions, nil); err != nil {
		p.Fatal(err)
	}
	if _, err := s.Claim(ctx, Partitions+1, nil); err == nil || !strings.Contains(err.Error(), "made for 3 partitions, the platform has 4") {
		p.Errorf("claimed with %v", err)
	}
}
