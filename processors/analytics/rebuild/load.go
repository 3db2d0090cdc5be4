package rebuild

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/backfill"
	"github.com/weirstream/weir/processors/projection"
)

// Load takes a file in.
type Load struct {
	Live    analytics.Swappable
	Schema  *analytics.Schema
	File    *backfill.File
	Name    string // of the file
	Mapping []byte // its text
	Rate    float64
	Keep    time.Duration // how long events are kept; for ever if 0
	Batch   int           // events of a block; 10,000 if 0. It has to be the same when it goes on
	Twice   bool          // also events of keys that have some of the same type from the log
	Told    func(Progress)
}

// FileReport is what became of a file.
type FileReport struct {
	Topic   string                   `json:"topic"`
	Known   bool                     `json:"known"` // it was in already, and nothing was done
	Events  int64                    `json:"events"`
	Tables  map[string]analytics.Sum `json:"tables"`
	Rows    backfill.Report          `json:"rows"` // of the file
	Seconds float64                  `json:"seconds"`
}

// batchEvents are those of one block.
const batchEvents = 10_000

func (l *Load) batch() int { return cmp.Or(l.Batch, batchEvents) }

// Run takes the file in, once.
func (l *Load) Run(ctx context.Context) (out *FileReport, err error) {
	began := time.Now()
	out = &FileReport{Topic: l.File.Topic(), Tables: map[string]analytics.Sum{}}
	defer func() { out.Seconds = time.Since(began).Seconds() }()
	known, err := l.known(ctx)
	if err != nil {
		return out, err
	}
	if known != nil && known.Whole {
		out.Known, out.Events = true, known.Events
		for _, w := range known.blocks {
			add(out.Tables, w.Tables)
		}
		return out, l.Live.Drop(ctx, l.stage())
	}
	stage, err := l.Live.Staging(ctx, l.stage())
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, stage.Close()) }()
	if err := l.write(ctx, stage, known == nil); err != nil {
		return out, err
	}
	blocks, err := l.check(ctx, stage, out)
	if err != nil {
		return out, err
	}
	if err := l.move(ctx, stage, blocks, known, out); err != nil {
		return out, err
	}
	return out, l.Live.Drop(ctx, l.stage())
}

// Dry reads the file, and says what Run would make of it.
func (l *Load) Dry(ctx context.Context) (*FileReport, error) {
	began := time.Now()
	out := &FileReport{Topic: l.File.Topic(), Tables: map[string]analytics.Sum{}}
	known, err := l.known(ctx)
	if err != nil {
		return out, err
	}
	out.Known = known != nil && known.Whole
	for b, err := range l.File.Batches(ctx, 0, l.batch()) {
		if err == nil {
			err = l.keeps(b)
		}
		if err == nil && out.Events == 0 && known == nil {
			err = l.once(ctx, b.Events)
		}
		if err != nil {
			return out, err
		}
		out.Events += int64(len(b.Events))
		add(out.Tables, l.Schema.Block(0, b.Events).Sums())
		l.tell(Progress{Doing: "reading the file", Done: b.Read, Of: l.File.Size()})
	}
	out.Rows, out.Seconds = l.File.Report(), time.Since(began).Seconds()
	return out, nil
}

// known is what the live tables have of the file.
func (l *Load) known(ctx context.Context) (*KnownFile, error) {
	files, err := Files(ctx, l.Live)
	if err != nil {
		return nil, err
	}
	i := named(files, l.File.Topic())
	if i < 0 {
		return nil, nil
	}
	if f := &files[i]; f.Mapping != l.digest() {
		return nil, fmt.Errorf("this file is in, by another mapping, as %s of %s: take that out first, with weir backfill --remove %[1]s, and run this again", f.Topic, f.At.Format(time.DateTime))
	}
	return &files[i], nil
}

// digest names the mapping.
func (l *Load) digest() string { return digestOf(l.Mapping) }

// stage names where the file is staged.
func (l *Load) stage() string { return digestOf(append([]byte(l.File.Digest()), l.Mapping...)) }

// write stages the events that are not there yet. The first of a file that is new are
// looked for on the log.
func (l *Load) write(ctx context.Context, stage analytics.Store, fresh bool) error {
	topic := l.File.Topic()
	c, err := stage.Claim(ctx, 1, []projection.Cursor{{Topic: topic}})
	if err != nil {
		return err
	}
	next := int64(0)
	for _, x := range c.Cursors {
		if x.Topic == topic {
			next = x.Next
		}
	}
	began, n := time.Now(), int64(0)
	for b, err := range l.File.Batches(ctx, next, l.batch()) {
		if err != nil {
			return err
		}
		if err := l.keeps(b); err != nil {
			return err
		}
		if fresh && next == 0 && n == 0 {
			if err := l.once(ctx, b.Events); err != nil {
				return err
			}
		}
		if err := wait(ctx, began, n, l.Rate); err != nil {
			return err
		}
		if err := stage.Write(ctx, &projection.Batch{Epoch: c.Epoch, Events: b.Events, Moves: []projection.Move{b.Move}}); err != nil {
			return fmt.Errorf("the file cannot be staged: %w", err)
		}
		n += int64(len(b.Events))
		l.tell(Progress{Doing: "reading the file", Done: b.Read, Of: l.File.Size(), Rate: float64(b.Read) / time.Since(began).Seconds()})
	}
	return nil
}

// keeps refuses events that would be removed at once.
func (l *Load) keeps(b *backfill.Batch) error {
	for i := range b.Events {
		if e := &b.Events[i]; l.Keep > 0 && time.Since(e.Time) > l.Keep {
			return fmt.Errorf("event %s is of %s, and history_days in the configuration lets events go after %d days: leave older rows out in the mapping, or keep more", e.ID, e.Time.Format(time.DateOnly), int(l.Keep.Hours()/24))
		}
	}
	return nil
}

// check reads the file once more, and compares what has to be staged with what is.
func (l *Load) check(ctx context.Context, stage analytics.Store, out *FileReport) (blocks []analytics.Written, err error) {
	above := int64(0)
	for b, err := range l.File.Batches(ctx, 0, l.batch()) {
		if err != nil {
			return nil, err
		}
		w, err := following(ctx, stage, above)
		if err != nil {
			return nil, err
		}
		have, err := stage.Sums(ctx, w.Number, w.Number)
		if err != nil {
			return nil, err
		}
		want := l.Schema.Block(w.Number, b.Events).Sums()
		if w.Ranges[0].From != b.Move.From || w.Ranges[0].Next != b.Move.Next || !sameSums(want, have[w.Number]) || !sameSums(want, w.Tables) {
			return nil, fmt.Errorf("what is staged of the events from %d on is not what the file gives: remove it with weir backfill --drop-old, and begin again", b.Move.From)
		}
		above, blocks = w.Number, append(blocks, w)
		out.Events += int64(len(b.Events))
		add(out.Tables, want)
		l.tell(Progress{Doing: "checking what is staged", Done: b.Read, Of: l.File.Size()})
	}
	out.Rows = l.File.Report()
	switch more, err := stage.Newest(ctx); {
	case err != nil:
		return nil, err
	case len(blocks) == 0:
		return nil, errors.New("the file gives no events with this mapping: nothing was done")
	case len(blocks) >= perFile:
		return nil, fmt.Errorf("the file gives %d events, and %d is the most: split it", out.Events, int64(perFile)*int64(l.batch()))
	case more > above:
		if w, err := stage.Blocks(ctx, above, 1<<20); err != nil || slices.ContainsFunc(w, func(w analytics.Written) bool { return len(w.Ranges) > 0 }) {
			return nil, errors.Join(err, errors.New("more is staged than the file gives: remove it with weir backfill --drop-old, and begin again"))
		}
	}
	return blocks, nil
}

// following is the next block with rows: claims are blocks of some stores, too.
func following(ctx context.Context, s analytics.Store, above int64) (w analytics.Written, err error) {
	for {
		next, err := s.Blocks(ctx, above, 1)
		if err != nil || len(next) == 0 {
			return w, errors.Join(err, errors.New("less is staged than the file gives: run it again"))
		}
		if len(next[0].Ranges) == 1 {
			return next[0], nil
		}
		above = next[0].Number
	}
}

// move carries the blocks into the live tables, and then what says that they are whole. A
// swap meanwhile may have come between two tables of a block: it is carried again.
func (l *Load) move(ctx context.Context, stage analytics.Store, blocks []analytics.Written, known *KnownFile, out *FileReport) error {
	writer := ""
	if known != nil {
		writer = known.Writer
	} else {
		writer = fmt.Sprintf("file %s, mapping %s, load %s", l.Name, l.digest(), nonce())
	}
	for try := 0; ; try++ {
		err := l.carry(ctx, stage, blocks, writer)
		if err == nil {
			err = l.moved(ctx, int64(len(blocks)), out.Tables)
		}
		if err == nil || try == 2 || ctx.Err() != nil || !errors.Is(err, errMoved) {
			return err
		}
	}
}

var errMoved = errors.New("what was moved is not what the file gives")

func (l *Load) carry(ctx context.Context, stage analytics.Store, blocks []analytics.Written, writer string) error {
	first, topic := l.firstBlock(), l.File.Topic()
	for i, w := range blocks {
		from := w.Number
		w.Number, w.Writer, w.At = first+int64(i), writer, time.Now()
		if err := l.Live.Carry(ctx, stage, from, w); err != nil {
			return fmt.Errorf("the file cannot be moved into the tables: %w", err)
		}
		l.tell(Progress{Doing: "moving into the tables", Done: int64(i + 1), Of: int64(len(blocks))})
	}
	end := blocks[len(blocks)-1].Ranges[0].Next
	return l.Live.Carry(ctx, nil, 0, analytics.Written{Number: first + int64(len(blocks)), Writer: writer, At: time.Now(),
		Ranges: []analytics.Range{{Move: projection.Move{Topic: topic, From: end, Next: end}}}, Tables: map[string]analytics.Sum{}})
}

// moved compares the rows in the live tables with what the file gives.
func (l *Load) moved(ctx context.Context, blocks int64, want map[string]analytics.Sum) error {
	have, first := map[string]analytics.Sum{}, l.firstBlock()
	for from := first; from < first+blocks; from += 100 {
		some, err := l.Live.Sums(ctx, from, min(from+99, first+blocks))
		if err != nil {
			return err
		}
		for _, tables := range some {
			add(have, tables)
		}
	}
	if !sameSums(want, have) {
		return fmt.Errorf("%w: take it out with weir backfill --remove %s, and run it again", errMoved, l.File.Topic())
	}
	return nil
}

// firstBlock is the number of the file's first block.
func (l *Load) firstBlock() int64 {
	n, _ := strconv.ParseInt(l.File.Digest()[:10], 16, 64)
	return -(n + 2) * perFile
}

func (l *Load) tell(p Progress) {
	if l.Told != nil {
		l.Told(p)
	}
}

func nonce() string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // it never fails
	return hex.EncodeToString(b[:])
}

func digestOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
