package projection

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
)

// Bounds of what every store can keep, so that none has to refuse it: rows hold
// nanoseconds of 64 bits, and a document of MongoDB 16 MB.
const (
	maxData            = 8 << 20 // of an event, in bytes
	maxName            = 16 << 10
	minYear, maxYear   = 1700, 2200
	maxReason, maxText = 2000, 64 << 10
)

// received is a record and the event in it.
type received struct {
	*kgo.Record
	streams.Envelope
	reading streams.Reading
	err     error      // why it is unreadable: no event of ours
	hole    *HoleError // before it
	aside   error      // it is an event of ours, and no row can keep it
}

// open reads a record. What is wrong with an event of a lane must not hide its
// sequence, or the lane's next event would look like one after a hole.
func (b *reader) open(rec *kgo.Record) received {
	log := b.log(rec)
	e, reading, err := log.Read(rec)
	x := received{Record: rec, Envelope: e, reading: reading, err: err}
	switch reading {
	case streams.ReadNew, streams.ReadHole:
		if err := keepable(string(e.Lane)); err != nil {
			x.reading, x.err = streams.ReadUnreadable, fmt.Errorf("record %s/%d@%d: its lane %w", rec.Topic, rec.Partition, rec.Offset, err)
			return x
		}
		if reading == streams.ReadHole {
			seen, _ := log.Last(e.Lane)
			x.hole = &HoleError{Topic: rec.Topic, Partition: rec.Partition, Offset: rec.Offset, Lane: e.Lane, Seen: seen, Prev: e.Prev, Seq: e.Seq}
		}
		log.Take(&e) // a hole that nobody accepts ends the batch
	case streams.ReadOutside:
		if f, ok := b.cfg.Topology.Vocabulary.Fact(e.Type); ok && !f.External {
			x.reading = streams.ReadUnreadable
			x.err = fmt.Errorf("record %s/%d@%d is a %s that no lane wrote: only events declared external come from outside", rec.Topic, rec.Partition, rec.Offset, e.Type)
			return x
		}
	default:
		return x
	}
	x.aside = unkept(&e)
	x.Correlation = e.Saga()
	return x
}

// unkept says why no row can keep an event; nil if one can.
func unkept(e *streams.Envelope) error {
	for _, n := range []struct{ what, value string }{{"id", e.ID}, {"type", e.Type}, {"source", e.Source}, {"key", e.Key},
		{"correlation", e.Correlation}, {"causation", e.Causation}, {"traceparent", e.Traceparent}} {
		if err := keepable(n.value); err != nil {
			return fmt.Errorf("its %s %w", n.what, err)
		}
	}
	if y := e.Time.Year(); !e.Time.IsZero() && (y < minYear || y > maxYear) {
		return fmt.Errorf("its time, %s, is out of the years %d to %d", e.Time.Format(time.RFC3339), minYear, maxYear)
	}
	if len(e.Data) > maxData {
		return fmt.Errorf("its data are %d bytes, the most is %d", len(e.Data), maxData)
	}
	return nil
}

// keepable refuses a name that some store cannot keep, or would change.
func keepable(name string) error {
	switch {
	case len(name) > maxName:
		return fmt.Errorf("has %d bytes, the most is %d", len(name), maxName)
	case !utf8.ValidString(name) || strings.ContainsRune(name, 0):
		return fmt.Errorf("is not UTF-8 without NUL: %.100q", name)
	}
	return nil
}

// text is what a person wrote, as every store can keep it.
func text(s string, most int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), "\x00", "\ufffd")
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// Keepable is a text as every store can keep it.
func Keepable(s string) string { return text(s, maxText) }
