// Package streams is Weir's runtime: pure deciders, lanes that commit a cursor
// together with the effect it guards, durable timers, outside effects, and the
// telemetry of all of it. DESIGN.md at the root of the repository holds the
// rules that the code keeps, each with the accident that it prevents.
package streams

import (
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Key names the one thing that an event, a command or a decider is about.
// Kinds are compared at start-up, so the id of one kind never reaches another's decider.
// Implement it on a string type of your own:
//
//	type OrderID string
//	func (OrderID) Kind() string      { return "order" }
//	func (id OrderID) String() string { return string(id) }
type Key interface {
	// Kind is the same for every value of the type, the zero value included.
	Kind() string
	String() string
}

// Event is a fact. Its key is the thing that it is about, and so its partition.
type Event interface{ Key() Key }

// Envelope is an event as it travels: CloudEvents 1.0 in the Kafka binary
// binding, with Weir's extension attributes.
type Envelope struct {
	ID          string
	Type        string // "account.opened"
	Version     int    // of the type; 1 where the header is missing
	Source      string // the decider that emitted it, or what the outside world named
	Time        time.Time
	Key         string
	Correlation string // the saga: the id of the input that started it
	Causation   string // the id of the input that caused this event
	Lane        Lane   // who wrote it; zero for events from outside
	Seq         int64  // the lane's sequence number, 1 and up
	Prev        int64  // the lane's previous Seq into this very topic-partition, 0 at first
	Traceparent string // W3C
	ReplayID    string // set on replayed records, which live lanes skip
	Data        []byte // JSON
}

// Saga is the correlation that the event is kept under, and that what follows
// from it carries on. Who posts an event chooses its id and its correlation:
// neither may be that of a saga of ours, so it is its source's own.
func (e *Envelope) Saga() string {
	if e.Lane == "" {
		return e.Source + "#" + e.Correlation
	}
	return e.Correlation
}

func (e *Envelope) origin() Origin {
	return Origin{Correlation: e.Saga(), Causation: e.Causation, Traceparent: e.Traceparent}
}

// cause is what the ids of what follows from the event derive from. An id from
// outside is its source's own: two sources may use the same.
func (e *Envelope) cause() string {
	if e.Lane == "" && e.Source != "" {
		return deriveID(e.Source, e.ID)
	}
	return e.ID
}

// Lane names a writer: one service's share of work on one partition, in one
// life of its store. A restored store is another writer, or its sequence would
// start again below what consumers have seen and be skipped for ever.
type Lane string

// NewLane names the lane of a service, partition and store incarnation.
func NewLane(service string, partition int32, incarnation string) Lane {
	return Lane(service + "/" + strconv.Itoa(int(partition)) + "/" + incarnation)
}

// Header names of the envelope in a Kafka record.
const (
	headerSpec        = "ce_specversion"
	headerID          = "ce_id"
	headerType        = "ce_type"
	headerVersion     = "ce_dataversion"
	headerSource      = "ce_source"
	headerTime        = "ce_time"
	headerCorrelation = "ce_correlationid"
	headerCausation   = "ce_causationid"
	headerLane        = "ce_lane"
	headerSeq         = "ce_sequence"
	headerPrev        = "ce_prev"
	headerReplay      = "ce_replayid"
	headerTrace       = "traceparent"
	headerContent     = "content-type"
)

// ReservedAttributes are the CloudEvents attributes that only the runtime may
// set; ingestion refuses them, as a posted sequence could mute a producer.
var ReservedAttributes = []string{"lane", "sequence", "prev", "causationid", "replayid"}

var idEncoding = base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)

// deriveID makes an id from the id of its cause and what distinguishes it, so
// that deciding the same input again gives the same ids.
func deriveID(cause string, parts ...string) string {
	b := append(make([]byte, 0, 128), cause...)
	for _, p := range parts {
		b = append(append(b, 0), p...)
	}
	sum := sha256.Sum256(b)
	return idEncoding.EncodeToString(sum[:16])
}

// CheckKey reports why nothing may be called so: what cannot travel, and what
// forges what a person reads, as keys stand in logs, pages and commands.
func CheckKey(key string) error {
	if err := checkKept(key); err != nil {
		return err
	}
	if strings.ContainsFunc(key, Unprintable) {
		return fmt.Errorf("key %q holds control characters or turns the direction of text", key)
	}
	return nil
}

// CheckName reports why nothing new may be called so: CheckKey, and what paths cannot
// hold. What is on a log already may be.
func CheckName(key string) error {
	if key == "." || key == ".." {
		return fmt.Errorf("nothing may be called %q: clients take it out of paths", key)
	}
	return CheckKey(key)
}

// Unprintable tells characters that act on a terminal or a page instead of
// standing there: controls, separators of lines, and those that turn text around.
func Unprintable(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// checkKept reports why a key cannot travel: empty, NUL, or invalid UTF-8.
// Committed and unpublishable it would stop its lane for ever.
func checkKept(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("the key is empty: give the event the id of the thing that it is about")
	case strings.IndexByte(key, 0) >= 0:
		return fmt.Errorf("key %q holds a NUL byte: stores cannot keep it", key)
	case !utf8.ValidString(key):
		return fmt.Errorf("key %q is not valid UTF-8: stores cannot keep it", key)
	case len(key) > 1024:
		return fmt.Errorf("key of %d bytes is longer than 1024", len(key))
	}
	return nil
}

// Partition is where a key lives: murmur2 mod P, as Java's client and kgo's
// sticky partitioner hash, for events and commands alike.
func Partition(key string, partitions int32) int32 {
	return int32(murmur2(key)&0x7fffffff) % partitions
}

// murmur2 is Kafka's variant (org.apache.kafka.common.utils.Utils.murmur2).
func murmur2(b string) uint32 {
	const m, r = 0x5bd1e995, 24
	h := uint32(0x9747b28c) ^ uint32(len(b))
	for len(b) >= 4 {
		k := uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
		b = b[4:]
		k *= m
		k ^= k >> r
		k *= m
		h = h*m ^ k
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h ^= uint32(b[0])
		h *= m
	}
	h ^= h >> 13
	h *= m
	return h ^ h>>15
}
