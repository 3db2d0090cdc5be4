package streams

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// input is one thing that a batch decides about.
type input struct {
	kind   InputKind
	id     string
	name   string
	ver    int
	body   []byte
	origin Origin
	at     time.Time       // when it happened: an event's time, a timer's due
	stream StreamID        // of all but fresh events
	key    string          // of a fresh event
	rec    *kgo.Record     // of a fresh event
	cmd    *CommandRequest // who waits for the answer
	effect int64           // sequence of the effect whose outcome it is
	parked *ParkedInput    // the row that is decided again
	source string          // of an event from outside, "" for a lane's
}

// fresh tells an event from outside that no lane has numbered and that is no
// retry: only its name tells whether it was taken before.
func (in *input) fresh() bool { return in.source != "" && in.parked == nil }

// cause is what the ids of what follows derive from. An id from outside is
// its source's own: two sources may use the same.
func (in *input) cause() string {
	if in.source == "" {
		return in.id
	}
	return deriveID(in.source, in.id)
}

// digest is that of an event from outside: when it happened is its sender's to
// say again or to leave out.
func (in *input) digest() string { return EventDigest(in.name, in.key, in.body) }

// InputEntry is one input of a batch's row: where the record lies, or, for
// what no log keeps, the input itself.
type InputEntry struct {
	Kind    InputKind
	Topic   string // of an event; empty for a retried parked input, which has a body
	Offset  int64
	Stream  StreamID // of all but fresh events
	Name    string
	ID      string
	TypeVer int
	Body    []byte
	Origin  Origin
}

// droppedName begins the name of an entry that tells of a dropped input.
const droppedName = "dropped:"

// Dropped tells whether the entry says that a parked input was given up, and
// what that was called.
func (e *InputEntry) Dropped() (name string, ok bool) { return strings.CutPrefix(e.Name, droppedName) }

var kindCodes = []InputKind{EventInput, CommandInput, TimerInput, OutcomeInput}

// EncodeInputs packs a batch's inputs, in the order of their decisions.
func EncodeInputs(in []InputEntry) []byte {
	b := make([]byte, 0, 16+8*len(in))
	b = append(b, 1) // format
	b = binary.AppendUvarint(b, uint64(len(in)))
	topics := map[string]int{}
	for i := range in {
		e := &in[i]
		b = append(b, byte(slices.Index(kindCodes, e.Kind)))
		if e.Topic != "" {
			n, ok := topics[e.Topic]
			if !ok {
				n = len(topics)
				topics[e.Topic] = n
			}
			b = binary.AppendUvarint(b, uint64(n+1))
			if !ok {
				b = appendBytes(b, e.Topic)
			}
			b = binary.AppendUvarint(b, uint64(e.Offset))
			continue
		}
		b = append(b, 0)
		for _, s := range []string{e.Stream.Decider, e.Stream.Key, e.Name, e.ID, e.Origin.Correlation, e.Origin.Causation, e.Origin.Traceparent} {
			b = appendBytes(b, s)
		}
		b = binary.AppendUvarint(b, uint64(e.TypeVer))
		b = appendBytes(b, e.Body)
	}
	return b
}

// DecodeInputs unpacks a row's inputs.
func DecodeInputs(b []byte) ([]InputEntry, error) {
	if len(b) == 0 || b[0] != 1 {
		return nil, fmt.Errorf("a row of inputs has an unknown format")
	}
	d := decoder{b: b[1:]}
	n := d.uvarint()
	var out []InputEntry
	var topics []string
	for ; n > 0 && d.err == nil; n-- {
		if len(d.b) == 0 || int(d.b[0]) >= len(kindCodes) {
			d.fail()
			break
		}
		e := InputEntry{Kind: kindCodes[d.b[0]]}
		d.b = d.b[1:]
		switch t := int(d.uvarint()); {
		case t == 0:
			e.Stream = StreamID{d.str(), d.str()}
			e.Name, e.ID = d.str(), d.str()
			e.Origin = Origin{d.str(), d.str(), d.str()}
			e.TypeVer = int(d.uvarint())
			e.Body = d.bytes()
		default:
			if t == len(topics)+1 {
				topics = append(topics, d.str())
			}
			if t > len(topics) || topics[t-1] == "" || e.Kind != EventInput {
				d.fail()
				break
			}
			e.Topic, e.Offset = topics[t-1], int64(d.uvarint())
		}
		out = append(out, e)
	}
	if d.err != nil {
		return nil, fmt.Errorf("a row of inputs is damaged: %w", d.err)
	}
	return out, nil
}
