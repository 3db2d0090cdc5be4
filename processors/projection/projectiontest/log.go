package projectiontest

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Partitions are those of every topic of a Log.
const Partitions = 3

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// Log is a broker in this process, over its real wire.
type Log struct {
	t       testing.TB
	of      *business.Business
	top     *streams.Topology
	brokers []string
	cl      *kgo.Client
}

// NewLog starts the log of the suite's library. It ends with the test.
func NewLog(t testing.TB) *Log { t.Helper(); return NewLogOf(t, library()) }

// NewLogOf starts a log with the topics of a business, which are empty. It ends with the
// test.
func NewLogOf(t testing.TB, b *business.Business) *Log {
	t.Helper()
	top, err := b.Topology()
	if err != nil {
		t.Fatal(err)
	}
	l := &Log{t: t, of: b, top: top}
	var names []string
	for _, topic := range l.top.Topics() {
		names = append(names, topic.Name)
	}
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(Partitions, names...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	l.brokers = c.ListenAddrs()
	if l.cl, err = kgo.NewClient(kgo.SeedBrokers(l.brokers...), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.cl.Close)
	return l
}

// Brokers are where the log is reached, also from other processes.
func (l *Log) Brokers() []string { return l.brokers }

func (l *Log) admin() *kadm.Client { return kadm.NewClient(l.cl) }

// Produce appends records, in order. It leaves the records as they were.
func (l *Log) Produce(recs ...*kgo.Record) {
	l.t.Helper()
	for _, r := range recs {
		c := *r
		if err := l.cl.ProduceSync(ctx, &c).FirstErr(); err != nil {
			l.t.Fatal(err)
		}
	}
}

// Config is that of a projection of the log, with more sagas than its business has.
func (l *Log) Config(more ...streams.Saga) projection.Config {
	b := *l.of
	b.Sagas = slices.Concat(b.Sagas, more)
	return projection.Config{Client: []kgo.Opt{kgo.SeedBrokers(l.brokers...)}, Business: &b, Topology: l.top, Partitions: Partitions}
}

// Writer makes the records of one lane, as the runtime does. Its clock goes on
// by a millisecond with every record.
type Writer struct {
	last streams.Token // of the latest record
	log  *Log
	lane streams.Lane
	seq  int64
	prev map[streams.Target]int64
	At   time.Time // its clock
}

// Writer is that of a lane of a service.
func (l *Log) Writer(service string, lane int32) *Writer {
	return &Writer{log: l, lane: streams.NewLane(service, lane, "i1"), prev: map[streams.Target]int64{}, At: noon}
}

// Record makes the lane's next record, without producing it.
func (w *Writer) Record(correlation string, e streams.Event) *kgo.Record {
	w.log.t.Helper()
	f, _ := w.log.top.Vocabulary.FactOf(e)
	topic, _ := w.log.top.Topic(f.Name)
	data, err := json.Marshal(e)
	if err != nil {
		w.log.t.Fatal(err)
	}
	w.seq++
	w.At = w.At.Add(time.Millisecond)
	key := e.Key().String()
	to := streams.Target{Topic: topic.Name, Partition: streams.Partition(key, Partitions)}
	env := streams.Envelope{ID: fmt.Sprintf("%s-%d", w.lane, w.seq), Type: f.Name, Version: f.Version, Source: topic.Writer, Time: w.At, Key: key,
		Correlation: correlation, Lane: w.lane, Seq: w.seq, Prev: w.prev[to], Traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Data: data}
	w.prev[to] = w.seq
	w.last = streams.Token{Source: streams.Source{Topic: topic.Name, Lane: w.lane}, Seq: w.seq}
	return env.Record(to.Topic, to.Partition)
}

// Emit produces an event of the lane each.
func (w *Writer) Emit(correlation string, events ...streams.Event) {
	w.log.t.Helper()
	for _, e := range events {
		w.log.Produce(w.Record(correlation, e))
	}
}

// outside is the record of an event that no lane wrote.
func outside(source, id, title string) *kgo.Record {
	e := streams.Envelope{ID: id, Type: "copy.donated", Source: source, Time: noon, Key: title, Data: fmt.Appendf(nil, `{"title":%q,"copies":1}`, title)}
	return e.Record("external.title", streams.Partition(title, Partitions))
}

// asked is what begins a loan.
func asked(id, member string) Asked {
	return Asked{Loan: LoanID(id), Member: MemberID(member), Email: "ada@example.org", Home: Home{Name: "Ada", Street: "1 Mill Lane"},
		Titles: []TitleID{"A"}, Deposit: Coins{Minor: 510, Currency: "GBP"}}
}
