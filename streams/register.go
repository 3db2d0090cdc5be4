package streams

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"sync"
)

// Register keeps what clients have called their requests and events: an
// Idempotency-Key, a source and an id. One name means one content, whatever the
// content is about: the lane of one key knows only the names that came
// to it. Names live as long as replies do (Config.ReplyTTL).
//
// They are kept by the lanes of the topology's first service, by the name's own
// hash.
type Register struct {
	commands   Commands
	service    string
	partitions int32
}

// NewRegister reaches the register of a topology.
func NewRegister(c Commands, t *Topology, partitions int32) *Register {
	return &Register{c, t.Services[0].Name, partitions}
}

// Name is what a client calls something that it sends.
type Name struct {
	Scope  string // who uses it for what: names of two scopes have nothing to do with one another
	ID     string
	Digest string // of the content; see Digest
}

// registered is a name as lanes keep it: clients' keys are nobody else's business.
type registered struct {
	ID     string `json:"i"`
	Digest string `json:"d"`
}

const (
	registerCommand = "weir.register"
	registerSource  = "\x01register" // no client's source holds control characters
)

// Digest tells contents apart. JSON is told by what it says, not by how.
func Digest(parts ...[]byte) string {
	h := sha256.New()
	for _, p := range parts {
		if plain, err := canonical(p); err == nil {
			p = plain
		}
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return idEncoding.EncodeToString(h.Sum(nil)[:16])
}

// canonical is JSON without white space and with sorted members.
func canonical(b []byte) ([]byte, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// NameState is what is known of a name.
type NameState int

// A name is new, or was taken before: by the same content, or by another.
const (
	NameNew NameState = iota
	NameRepeated
	NameTaken
)

// Take registers names and tells what is known of each. Who asks again because
// no answer came is told that they are repeated. An error means that of some
// nothing is known: ask again.
func (r *Register) Take(ctx context.Context, names []Name) (states []NameState, err error) {
	states = make([]NameState, len(names))
	lanes := map[int32][]int{}
	ids := make([]string, len(names))
	for i, n := range names {
		ids[i] = deriveID(n.Scope, n.ID)
		lane := Partition(ids[i], r.partitions)
		lanes[lane] = append(lanes[lane], i)
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for lane, which := range lanes {
		wg.Go(func() {
			asked := make([]registered, len(which))
			for n, i := range which {
				asked[n] = registered{ids[i], names[i].Digest}
			}
			known, e := r.ask(ctx, lane, asked)
			mu.Lock()
			defer mu.Unlock()
			if e != nil {
				err = e
				return
			}
			for n, i := range which {
				states[i] = known[n]
			}
		})
	}
	wg.Wait()
	return states, err
}

// ask has a lane register names, and tells what it knows of each.
func (r *Register) ask(ctx context.Context, lane int32, names []registered) (states []NameState, err error) {
	body, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	// The id is that of the content: asking again is the same question.
	cmd := Command{ID: registerCommand + ":" + Digest(body), Name: registerCommand, Key: names[0].ID, Body: body}
	reply, err := r.commands.Send(ctx, r.service, lane, cmd)
	if err != nil {
		return nil, fmt.Errorf("register of names: %w", err)
	}
	if reply.Status != ReplyDone {
		return nil, fmt.Errorf("register of names: lane %s/%d answers %s %s: is it of an older version?", r.service, lane, reply.Status, reply.Body)
	}
	if err := json.Unmarshal(reply.Body, &states); err != nil {
		return nil, fmt.Errorf("register of names: %w", err)
	}
	if len(states) != len(names) {
		return nil, fmt.Errorf("register of names: lane %s/%d answers about %d names, asked for %d: is it of another version?", r.service, lane, len(states), len(names))
	}
	return states, nil
}

// names reads what a command registers; nil if it is another one.
func (in *input) names() (out []registered) {
	if in.cmd == nil || in.name != registerCommand || json.Unmarshal(in.body, &out) != nil {
		return nil
	}
	return out
}

// register takes names that no other content has, and answers what it knew of each.
// What it decides follows from what is stored: neither the command nor its
// answer is kept.
func (b *batch) register(in *input) {
	states := []NameState{}
	for _, name := range in.names() {
		states = append(states, b.takeName(ExternalID{registerSource, name.ID, b.at, name.Digest}))
	}
	body, err := codec.Marshal(states)
	if err != nil {
		body = []byte("null") // numbers always encode
	}
	b.replies = append(b.replies, pendingReply{in.cmd, CommandReply{Status: ReplyDone, Body: body}})
}

// takeName takes a name in this batch, unless it is known.
func (b *batch) takeName(x ExternalID) NameState {
	id := ExternalID{Source: x.Source, ID: x.ID}
	if digest, ok := b.named[id]; ok {
		if digest != "" && x.Digest != "" && digest != x.Digest {
			return NameTaken
		}
		return NameRepeated
	}
	b.named[id] = x.Digest
	b.tx.Externals = append(b.tx.Externals, x)
	return NameNew
}

// EventDigest is that of an event from outside, of a type and about a key.
func EventDigest(eventType, key string, data []byte) string {
	return Digest([]byte(eventType), []byte(key), data)
}
