package streams

import (
	"encoding/binary"
	"fmt"
	"time"
)

// Position is how far a lane has read a topic. The topic's id tells a topic
// that was deleted and made again, whose offsets mean something else.
type Position struct {
	TopicID [16]byte
	Offset  int64 // of the next record to read
}

// Source is whom repeats are told by: one producing lane on one topic. Not the
// lane alone: a lane that writes to two topics would lose half.
type Source struct {
	Topic string
	Lane  Lane
}

// Target is one partition of a topic that a lane writes to.
type Target struct {
	Topic     string
	Partition int32
}

// Cursor is everything that a lane needs to go on after a crash. It commits by
// compare-and-swap on (Epoch, Rev) in the transaction of the effect it guards.
type Cursor struct {
	Lane        int32
	Incarnation string // of the store, minted when it was created or restored
	Epoch       int64  // raised by Claim: an older owner's commit fails
	Rev         int64  // raised by every commit
	LastSeq     int64  // the last sequence handed out
	Published   int64  // every Seq at or below it is acknowledged by Kafka; may lag
	Clock       time.Time
	Now         time.Time           // its store's clock when it was read; zero if it has none. Not stored
	Inputs      map[string]Position // by topic
	Seen        map[Source]int64    // the highest sequence taken
	Sent        map[Target]int64    // the last sequence written there, the next one's Prev
}

// Clone copies the cursor and its maps.
func (c *Cursor) Clone() *Cursor {
	n := *c
	n.Inputs, n.Seen, n.Sent = cloneMap(c.Inputs), cloneMap(c.Seen), cloneMap(c.Sent)
	return &n
}

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	out := make(map[K]V, len(m))
	for k, v := range m {
		out[k] = v
	}
	return out
}

// MarshalMaps packs the clock and the maps, for stores to keep in one column.
func (c *Cursor) MarshalMaps() []byte {
	b := make([]byte, 0, 64+48*(len(c.Inputs)+len(c.Seen)+len(c.Sent)))
	b = append(b, 1) // format
	clock := int64(0)
	if !c.Clock.IsZero() {
		clock = c.Clock.UnixNano()
	}
	b = binary.AppendVarint(b, clock)
	b = binary.AppendUvarint(b, uint64(len(c.Inputs)))
	for t, p := range c.Inputs {
		b = append(appendBytes(b, t), p.TopicID[:]...)
		b = binary.AppendVarint(b, p.Offset)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Seen)))
	for s, q := range c.Seen {
		b = binary.AppendVarint(appendBytes(appendBytes(b, s.Topic), s.Lane), q)
	}
	b = binary.AppendUvarint(b, uint64(len(c.Sent)))
	for t, q := range c.Sent {
		b = binary.AppendVarint(binary.AppendVarint(appendBytes(b, t.Topic), int64(t.Partition)), q)
	}
	return b
}

// UnmarshalMaps reads what MarshalMaps wrote; empty input is a new cursor.
func (c *Cursor) UnmarshalMaps(b []byte) error {
	c.Inputs, c.Seen, c.Sent = map[string]Position{}, map[Source]int64{}, map[Target]int64{}
	if len(b) == 0 {
		return nil
	}
	if b[0] != 1 {
		return fmt.Errorf("a cursor has the unknown format %d", b[0])
	}
	d := decoder{b: b[1:]}
	if n := d.varint(); n != 0 {
		c.Clock = time.Unix(0, n).UTC()
	}
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		t, p := d.str(), Position{}
		if len(d.b) < len(p.TopicID) {
			d.fail()
			break
		}
		d.b = d.b[copy(p.TopicID[:], d.b):]
		p.Offset = d.varint()
		c.Inputs[t] = p
	}
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		s := Source{d.str(), Lane(d.str())}
		c.Seen[s] = d.varint()
	}
	for n := d.uvarint(); n > 0 && d.err == nil; n-- {
		t := Target{d.str(), int32(d.varint())}
		c.Sent[t] = d.varint()
	}
	return d.err
}
