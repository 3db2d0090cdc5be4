package streams_test

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

func TestEnvelopeRoundTrip(t *testing.T) {
	at := time.Date(2026, 2, 3, 4, 5, 6, 789, time.UTC)
	whole := streams.Envelope{ID: "id", Type: "x", Version: 3, Source: "/s/d", Time: at, Key: "ключ", Correlation: "saga", Causation: "cause",
		Lane: "s/1/life", Seq: math.MaxInt64, Prev: 7, Traceparent: "00-…-01", ReplayID: "r", Data: []byte(`{"a":1}`)}
	bare := streams.Envelope{ID: "id", Type: "x", Version: 1, Source: "outside", Time: at, Key: "k", Correlation: "id", Data: []byte(`{}`)}
	for _, e := range []streams.Envelope{whole, bare} {
		r := e.Record("topic", 5)
		if r.Topic != "topic" || r.Partition != 5 || string(r.Key) != e.Key {
			t.Errorf("record for %s/%d with key %q", r.Topic, r.Partition, r.Key)
		}
		for _, h := range r.Headers {
			if len(h.Value) == 0 {
				t.Errorf("header %s is empty", h.Key)
			}
		}
		if got, err := streams.ReadEnvelope(r); err != nil || !reflect.DeepEqual(got, e) {
			t.Errorf("got  %+v %v\nwant %+v", got, err, e)
		}
	}
	noVersion := streams.Envelope{ID: "id", Type: "x", Time: at, Key: "k", Correlation: "id"}
	if got, err := streams.ReadEnvelope(noVersion.Record("t", 0)); err != nil || got.Version != 1 {
		t.Errorf("no version was read as %d, %v", got.Version, err)
	}
}

func TestUnreadableEnvelopes(t *testing.T) {
	header := func(kv ...string) (hs []kgo.RecordHeader) {
		for i := 0; i < len(kv); i += 2 {
			hs = append(hs, kgo.RecordHeader{Key: kv[i], Value: []byte(kv[i+1])})
		}
		return hs
	}
	for want, hs := range map[string][]kgo.RecordHeader{
		"not a CloudEvent":    header("ce_type", "x"),
		"lacks ce_id":         header("ce_id", "1"),
		"unreadable header":   header("ce_id", "1", "ce_type", "x", "ce_dataversion", "two"),
		"cannot parse":        header("ce_id", "1", "ce_type", "x", "ce_time", "yesterday"),
		"out of range":        header("ce_id", "1", "ce_type", "x", "ce_lane", "l", "ce_sequence", "99999999999999999999"),
		"no sequence above 0": header("ce_id", "1", "ce_type", "x", "ce_lane", "l"),
	} {
		_, err := streams.ReadEnvelope(&kgo.Record{Topic: "t", Partition: 3, Offset: 9, Headers: hs})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "t/3@9") {
			t.Errorf("got %v, want %q and the record's place", err, want)
		}
	}
}

// Keys live where Java's client and kgo put them.
func TestPartitionIsKafkas(t *testing.T) {
	const parts = 1_000_003
	p := kgo.StickyKeyPartitioner(nil).ForTopic("t")
	for _, key := range []string{"a", "ab", "abc", "abcd", "abcde", "536365", "85123A", "köche", strings.Repeat("long ", 40), "\xff\x80"} {
		if got, want := streams.Partition(key, parts), p.Partition(&kgo.Record{Key: []byte(key)}, parts); int(got) != want {
			t.Errorf("%q lives in %d, kgo says %d", key, got, want)
		}
	}
	// Vectors of org.apache.kafka.common.utils.UtilsTest.testMurmur2.
	for key, hash := range map[string]int32{"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536,
		"a-little-bit-longer-string": -1486304829, "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971} {
		if got, want := streams.Partition(key, math.MaxInt32), (hash&0x7fffffff)%math.MaxInt32; got != want {
			t.Errorf("%q: %d, Java's client says %d", key, got, want)
		}
	}
}

func TestInputRowsRoundTrip(t *testing.T) {
	in := []streams.InputEntry{
		{Kind: streams.EventInput, Topic: "a.b", Offset: 0},
		{Kind: streams.EventInput, Topic: "c.d", Offset: 1 << 50},
		{Kind: streams.EventInput, Topic: "a.b", Offset: 7},
		{Kind: streams.CommandInput, Stream: streams.StreamID{Decider: "d", Key: "k"}, Name: "do", ID: "id", Body: []byte(`{}`), Origin: streams.Origin{Correlation: "c", Causation: "e", Traceparent: "t"}},
		{Kind: streams.TimerInput, Stream: streams.StreamID{Decider: "d", Key: "k"}, Name: "by", ID: "id", Body: []byte(`null`)},
		{Kind: streams.OutcomeInput, Stream: streams.StreamID{Decider: "d", Key: "k"}, Name: "ring", ID: "id", Body: []byte(`1`)},
		{Kind: streams.EventInput, Stream: streams.StreamID{Decider: "d", Key: "k"}, Name: "retried", ID: "id", TypeVer: 3, Body: []byte(`{"a":1}`)},
		{Kind: streams.EventInput, Stream: streams.StreamID{Decider: "d", Key: "k"}, Name: "retried, of no data", ID: "id", TypeVer: 1, Body: []byte{}},
	}
	out, err := streams.DecodeInputs(streams.EncodeInputs(in))
	if err != nil || !reflect.DeepEqual(in, out) {
		t.Errorf("got  %+v %v\nwant %+v", out, err, in)
	}
	in[len(in)-1].Body = nil // as a store may give it back
	if out, err = streams.DecodeInputs(streams.EncodeInputs(in)); err != nil || out[len(in)-1].Stream.Key != "k" {
		t.Errorf("a retried event without data became %+v %v", out[len(in)-1], err)
	}
	if _, err := streams.DecodeInputs(nil); err == nil {
		t.Error("nothing was decoded")
	}
}

func TestCursorMapsRoundTrip(t *testing.T) {
	c := streams.Cursor{Clock: time.Unix(5, 6).UTC(), Inputs: map[string]streams.Position{"a": {TopicID: [16]byte{1, 2}, Offset: 1 << 40}, "b": {}},
		Seen: map[streams.Source]int64{{Topic: "a", Lane: "l"}: math.MaxInt64, {Topic: "b", Lane: "l"}: 1}, Sent: map[streams.Target]int64{{Topic: "a", Partition: 3}: 9}}
	var got streams.Cursor
	if err := got.UnmarshalMaps(c.MarshalMaps()); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("got  %+v %v\nwant %+v", got, err, c)
	}
	if err := got.UnmarshalMaps([]byte{2}); err == nil {
		t.Error("a format of the future was read")
	}
}

func FuzzReadEnvelope(f *testing.F) {
	f.Add("id", "x", "1", "2026-01-01T00:00:00Z", "l", "1", "0", []byte("k"), []byte(`{}`))
	f.Add("", "", "-1", "", "", "x", "", []byte(nil), []byte(nil))
	f.Fuzz(func(t *testing.T, id, typ, version, at, lane, seq, prev string, key, value []byte) {
		r := &kgo.Record{Key: key, Value: value}
		for i, v := range []string{id, typ, version, at, lane, seq, prev} {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: []string{"ce_id", "ce_type", "ce_dataversion", "ce_time", "ce_lane", "ce_sequence", "ce_prev"}[i], Value: []byte(v)})
		}
		e, err := streams.ReadEnvelope(r)
		if err == nil && (e.ID == "" || e.Type == "" || e.Correlation == "" || e.Lane != "" && e.Seq < 1) {
			t.Errorf("%+v passed", e)
		}
		if _, ok := json.Number(seq).Int64(); ok != nil && err == nil {
			t.Errorf("sequence %q passed", seq)
		}
	})
}

func FuzzStoredRecord(f *testing.F) {
	f.Add([]byte{0})
	f.Add([]byte{2, 1, 'a', 1, 'b', 1, 'c', 0, 'v'})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f}) // 2^55 headers
	f.Fuzz(func(t *testing.T, b []byte) {
		e := streams.StoredEvent{Topic: "t", Key: "k", Record: b}
		r, err := e.KafkaRecord()
		if err == nil && len(r.Headers) > len(b) {
			t.Errorf("%d headers of %d bytes", len(r.Headers), len(b))
		}
		if _, err := e.Envelope(); err == nil && r == nil {
			t.Error("an envelope of no record")
		}
	})
}

func FuzzDecodeInputs(f *testing.F) {
	f.Add([]byte{})
	f.Add(streams.EncodeInputs([]streams.InputEntry{{Kind: streams.EventInput, Topic: "a"}, {Kind: streams.TimerInput, Body: []byte("1")}}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 0, 1})
	f.Add([]byte("\x01\x01\x01\x01\x000")) // a command that refers to a record
	f.Fuzz(func(t *testing.T, b []byte) {
		in, err := streams.DecodeInputs(b)
		if err != nil {
			return
		}
		again, err := streams.DecodeInputs(streams.EncodeInputs(in))
		if err != nil || fmt.Sprint(in) != fmt.Sprint(again) {
			t.Errorf("%v became %v, %v", in, again, err)
		}
	})
}

func FuzzCursorMaps(f *testing.F) {
	c := streams.Cursor{Inputs: map[string]streams.Position{"a": {Offset: 1}}, Seen: map[streams.Source]int64{{Topic: "a", Lane: "l"}: 1}, Sent: map[streams.Target]int64{{Topic: "a"}: 1}}
	f.Add(c.MarshalMaps())
	f.Add([]byte{1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var c, again streams.Cursor
		if c.UnmarshalMaps(b) == nil && len(b) > 0 {
			if err := again.UnmarshalMaps(c.MarshalMaps()); err != nil || !reflect.DeepEqual(c, again) {
				t.Errorf("%+v became %+v, %v", c, again, err)
			}
		}
	})
}
