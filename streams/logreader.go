package streams

import "github.com/twmb/franz-go/pkg/kgo"

// Reading is what a record of the log is to its reader.
type Reading int

const (
	// ReadNew is a lane's event that was not taken before, and follows what was.
	ReadNew Reading = iota
	// ReadOutside is an event that no lane has numbered: only its source, id and
	// content tell whether it was taken before.
	ReadOutside
	// ReadRepeat is a lane's event that was taken before: lanes publish again
	// what they do not know to have arrived.
	ReadRepeat
	// ReadHole is a lane's event before which others of it are missing. Who takes
	// it all the same accepts that they are lost.
	ReadHole
	// ReadReplayed is an event that was put on the log again for others.
	ReadReplayed
	// ReadControl is the end of a transaction. It takes up an offset, and no more.
	ReadControl
	// ReadUnreadable is no event, and the error says why.
	ReadUnreadable
	// ReadBehind lies before the reader's position.
	ReadBehind
)

// LogReader reads one partition of a topic: it tells what each record is to who
// has read so far, and moves the position over it. Where positions and sequences
// are kept is the reader's own business.
type LogReader struct {
	Next int64          // the offset of the next record to read
	Took map[Lane]int64 // of each lane the highest sequence that was taken; nil before the first

	whole  bool
	before func(Lane) (seq int64, known bool)
}

// NewLogReader reads on from next. before tells what was taken already, in lives
// of this reader that are over; nil means nothing. whole means that the reading
// began with the partition's first record: then a lane that was never heard of
// has not been there before. Else it may have been, and nothing is missed of it
// until its first event is taken.
func NewLogReader(next int64, whole bool, before func(Lane) (seq int64, known bool)) *LogReader {
	return &LogReader{Next: next, whole: whole, before: before}
}

// Read tells what the next record is, and moves the position over it. It takes
// nothing: that is left to Take. A record of a negative offset does not come from
// the log, but from an event store in its place, and moves no position.
func (r *LogReader) Read(rec *kgo.Record) (Envelope, Reading, error) {
	if rec.Offset >= 0 && rec.Offset < r.Next {
		return Envelope{}, ReadBehind, nil
	}
	r.Next = max(r.Next, rec.Offset+1)
	if rec.Attrs.IsControl() {
		return Envelope{}, ReadControl, nil
	}
	e, err := ReadEnvelope(rec)
	switch {
	case err != nil:
		return e, ReadUnreadable, err
	case e.ReplayID != "":
		return e, ReadReplayed, nil
	case e.Lane == "":
		return e, ReadOutside, nil
	}
	seen, known := r.Last(e.Lane)
	switch {
	case e.Seq <= seen:
		return e, ReadRepeat, nil
	case e.Prev > seen && (known || r.whole):
		return e, ReadHole, nil
	}
	return e, ReadNew, nil
}

// Last is the highest sequence of a lane that was taken, if any was.
func (r *LogReader) Last(l Lane) (seq int64, known bool) {
	if seq, known = r.Took[l]; !known && r.before != nil {
		seq, known = r.before(l)
	}
	return seq, known
}

// Take notes a lane's event as taken.
func (r *LogReader) Take(e *Envelope) {
	if r.Took == nil {
		r.Took = map[Lane]int64{}
	}
	r.Took[e.Lane] = e.Seq
}
