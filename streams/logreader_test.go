package streams_test

import (
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// sentBy is a lane's event at an offset.
func sentBy(lane streams.Lane, offset, seq, prev int64) *kgo.Record {
	e := streams.Envelope{ID: fmt.Sprint(seq), Type: "x", Version: 1, Source: "/s/d", Time: time.Unix(1, 0), Key: "k",
		Lane: lane, Seq: seq, Prev: prev}
	r := e.Record("t", 0)
	r.Offset = offset
	return r
}

// changed is a record with something else about it.
func changed(r *kgo.Record, how func(*kgo.Record)) *kgo.Record {
	how(r)
	return r
}

func TestLogReaderTellsWhatRecordsAre(t *testing.T) {
	const a, b, restored = streams.Lane("s/0/one"), streams.Lane("s/1/one"), streams.Lane("s/0/two")
	header := func(k, v string) func(*kgo.Record) {
		return func(r *kgo.Record) { r.Headers = append(r.Headers, kgo.RecordHeader{Key: k, Value: []byte(v)}) }
	}
	earlier := map[streams.Lane]int64{a: 7}
	r := streams.NewLogReader(10, true, func(l streams.Lane) (int64, bool) {
		seq, known := earlier[l]
		return seq, known
	})
	for _, x := range []struct {
		about string
		rec   *kgo.Record
		want  streams.Reading
		next  int64
	}{
		{"handed over before", sentBy(a, 9, 8, 7), streams.ReadBehind, 10},
		{"taken in an earlier life", sentBy(a, 10, 7, 3), streams.ReadRepeat, 11},
		{"what follows it", sentBy(a, 11, 9, 7), streams.ReadNew, 12}, // 8 went elsewhere
		{"published again", sentBy(a, 12, 9, 7), streams.ReadRepeat, 13},
		{"published again with what was before", sentBy(a, 13, 7, 3), streams.ReadRepeat, 14},
		{"another lane's first", sentBy(b, 14, 1, 0), streams.ReadNew, 15},
		{"of a lane under another incarnation", sentBy(restored, 15, 1, 0), streams.ReadNew, 16},
		{"the end of a transaction", &kgo.Record{Offset: 16,
			Attrs: kgo.NewRecordAttrs(kgo.RecordAttrsOpts{Control: true})}, streams.ReadControl, 17},
		{"after a gap that compaction or transactions leave", sentBy(b, 20, 2, 1), streams.ReadNew, 21},
		{"no event", &kgo.Record{Offset: 21, Value: []byte("hello")}, streams.ReadUnreadable, 22},
		{"a replayed one, of any number", changed(sentBy(b, 22, 99, 98), header("ce_replayid", "r")),
			streams.ReadReplayed, 23},
		{"from outside", sentBy("", 23, 0, 0), streams.ReadOutside, 24},
		{"a hole", sentBy(b, 24, 9, 8), streams.ReadHole, 25},
		{"a hole still", sentBy(b, 25, 10, 9), streams.ReadHole, 26},
		{"a lane that was never there, and should begin", sentBy("s/3/one", 26, 5, 4), streams.ReadHole, 27},
		{"out of an event store", sentBy(b, -3, 3, 2), streams.ReadNew, 27},
	} {
		e, got, err := r.Read(x.rec)
		if got != x.want || r.Next != x.next || (err != nil) != (got == streams.ReadUnreadable) {
			t.Errorf("%s: reading %d and next %d, want %d and %d (%v)", x.about, got, r.Next, x.want, x.next, err)
		}
		if got == streams.ReadNew {
			r.Take(&e)
		}
	}
	if want := (map[streams.Lane]int64{a: 9, b: 3, restored: 1}); !maps.Equal(r.Took, want) {
		t.Errorf("took %v, want %v", r.Took, want)
	}
}

// Who began with the log's end, or a log that is trimmed, cannot know what came
// before of a lane; but from its first event on nothing may be missing.
func TestLogReaderThatBeganLater(t *testing.T) {
	r := streams.NewLogReader(100, false, nil)
	for n, want := range []streams.Reading{streams.ReadNew, streams.ReadNew, streams.ReadHole} {
		seq := []int64{40, 41, 50}[n]
		prev := []int64{39, 40, 49}[n]
		e, got, _ := r.Read(sentBy("s/0/one", 100+int64(n), seq, prev))
		if got != want {
			t.Errorf("number %d after %d is %d, want %d", seq, prev, got, want)
		}
		if got == streams.ReadNew {
			r.Take(&e)
		}
	}
	if seq, known := r.Last("s/0/one"); seq != 41 || !known {
		t.Errorf("the hole was taken: last is %d, %t", seq, known)
	}
	if _, known := r.Last("s/1/one"); known {
		t.Error("a lane is known of which nothing was read")
	}
}

// Nothing is taken by looking: who misses something accepts it by taking it.
func TestLogReaderAcceptsAHole(t *testing.T) {
	r := streams.NewLogReader(0, true, nil)
	e, got, _ := r.Read(sentBy("s/0/one", 0, 5, 4))
	if got != streams.ReadHole {
		t.Fatalf("reading %d", got)
	}
	r.Take(&e)
	if _, got, _ = r.Read(sentBy("s/0/one", 1, 6, 5)); got != streams.ReadNew {
		t.Errorf("what follows an accepted hole is %d", got)
	}
	if _, got, _ = r.Read(sentBy("s/0/one", 2, 3, 0)); got != streams.ReadRepeat {
		t.Errorf("what was lost and comes late is %d, and would be taken out of order", got)
	}
}
