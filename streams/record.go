package streams

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Record renders the envelope as a Kafka record for a topic and partition.
func (e *Envelope) Record(topic string, partition int32) *kgo.Record {
	w := headerWriter{headers: make([]kgo.RecordHeader, 0, 14),
		buf: make([]byte, 0, 128+len(e.ID)+len(e.Type)+len(e.Source)+len(e.Correlation)+len(e.Causation)+len(e.Lane)+len(e.ReplayID)+len(e.Traceparent))}
	w.str(headerSpec, "1.0")
	w.str(headerID, e.ID)
	w.str(headerType, e.Type)
	w.num(headerVersion, int64(max(e.Version, 1)))
	w.str(headerSource, e.Source)
	w.buf = e.Time.UTC().AppendFormat(w.buf, time.RFC3339Nano)
	w.end(headerTime)
	w.str(headerCorrelation, e.Correlation)
	w.str(headerCausation, e.Causation)
	if e.Lane != "" {
		w.str(headerLane, string(e.Lane))
		w.num(headerSeq, e.Seq)
		w.num(headerPrev, e.Prev)
	}
	w.str(headerReplay, e.ReplayID)
	w.str(headerTrace, e.Traceparent)
	w.str(headerContent, "application/json")
	return &kgo.Record{Topic: topic, Partition: partition, Key: []byte(e.Key), Headers: w.headers, Value: e.Data}
}

// headerWriter puts all values of a record's headers into one allocation.
type headerWriter struct {
	headers []kgo.RecordHeader
	buf     []byte
	from    int
}

func (w *headerWriter) end(key string) {
	if len(w.buf) > w.from { // an empty attribute is left out
		w.headers = append(w.headers, kgo.RecordHeader{Key: key, Value: w.buf[w.from:len(w.buf):len(w.buf)]})
		w.from = len(w.buf)
	}
}

func (w *headerWriter) str(key, v string) {
	w.buf = append(w.buf, v...)
	w.end(key)
}

func (w *headerWriter) num(key string, v int64) {
	w.buf = strconv.AppendInt(w.buf, v, 10)
	w.end(key)
}

// ReadEnvelope reads a Kafka record as an event. It fails on a record that is
// not a CloudEvent of Weir's binding; the data is not looked into.
func ReadEnvelope(r *kgo.Record) (Envelope, error) {
	e := Envelope{Key: string(r.Key), Data: r.Value, Version: 1}
	var err error
	num := func(v []byte) int64 {
		n, perr := strconv.ParseInt(string(v), 10, 64)
		if perr != nil && err == nil {
			err = perr
		}
		return n
	}
	for i := range r.Headers {
		v := r.Headers[i].Value
		switch r.Headers[i].Key {
		case headerID:
			e.ID = string(v)
		case headerType:
			e.Type = string(v)
		case headerVersion:
			e.Version = int(num(v))
		case headerSource:
			e.Source = string(v)
		case headerTime:
			t, terr := time.Parse(time.RFC3339Nano, string(v))
			if terr != nil && err == nil {
				err = terr
			}
			e.Time = t
		case headerCorrelation:
			e.Correlation = string(v)
		case headerCausation:
			e.Causation = string(v)
		case headerLane:
			e.Lane = Lane(v)
		case headerSeq:
			e.Seq = num(v)
		case headerPrev:
			e.Prev = num(v)
		case headerReplay:
			e.ReplayID = string(v)
		case headerTrace:
			e.Traceparent = string(v)
		}
	}
	if e.ID == "" || e.Type == "" {
		return e, fmt.Errorf("record %s/%d@%d is not a CloudEvent: it lacks ce_id or ce_type", r.Topic, r.Partition, r.Offset)
	}
	if err != nil {
		return e, fmt.Errorf("record %s/%d@%d has an unreadable header: %w", r.Topic, r.Partition, r.Offset, err)
	}
	if e.Lane != "" && e.Seq < 1 { // as a repeat it would be skipped in silence
		return e, fmt.Errorf("record %s/%d@%d is of lane %s but has no sequence above 0", r.Topic, r.Partition, r.Offset, e.Lane)
	}
	if e.Correlation == "" {
		e.Correlation = e.ID
	}
	return e, nil
}

// packRecord keeps a record's headers and value byte for byte: a deploy that
// changes how records are made must not change what is published again.
func packRecord(r *kgo.Record) []byte {
	n := len(r.Value) + 8
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value) + 6
	}
	b := binary.AppendUvarint(make([]byte, 0, n), uint64(len(r.Headers)))
	for i := range r.Headers {
		b = appendBytes(appendBytes(b, r.Headers[i].Key), r.Headers[i].Value)
	}
	return append(b, r.Value...)
}

func unpackRecord(b []byte, r *kgo.Record) error {
	d := decoder{b: b}
	n := d.uvarint()
	if n > uint64(len(d.b)) { // a header takes two bytes at least
		d.fail()
		n = 0
	}
	r.Headers = make([]kgo.RecordHeader, n)
	for i := range r.Headers {
		r.Headers[i] = kgo.RecordHeader{Key: d.str(), Value: d.bytes()}
	}
	r.Value = d.b
	if d.err != nil {
		return fmt.Errorf("a stored record is damaged: %w", d.err)
	}
	return nil
}

func appendBytes[T ~string | ~[]byte](b []byte, v T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(v))), v...)
}

// decoder reads what the append functions wrote; the first error sticks.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || v > 1<<62 {
		return d.fail()
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		return int64(d.fail())
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	v := d.b[:n:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) str() string { return string(d.bytes()) }

func (d *decoder) fail() uint64 {
	if d.err == nil {
		d.err = fmt.Errorf("truncated or corrupt after %d bytes left", len(d.b))
	}
	d.b = nil
	return 0
}

// KafkaRecord rebuilds the exact record that was, or will be, published.
func (e *StoredEvent) KafkaRecord() (*kgo.Record, error) {
	r := &kgo.Record{Topic: e.Topic, Partition: e.Partition, Key: []byte(e.Key)}
	if err := unpackRecord(e.Record, r); err != nil {
		return nil, fmt.Errorf("event %d of %s: %w", e.Seq, e.Topic, err)
	}
	return r, nil
}

// Envelope reads a stored event as it travels.
func (e *StoredEvent) Envelope() (Envelope, error) {
	r, err := e.KafkaRecord()
	if err != nil {
		return Envelope{}, err
	}
	return ReadEnvelope(r)
}
