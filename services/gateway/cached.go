package gateway

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// How long answers are kept.
const (
	// documentTTL is how old a document can be that is asked without a token: only
	// if its invalidation was lost is it older than a moment.
	documentTTL = 5 * time.Second
	// replyTTL is far below streams.Config.ReplyTTL: the lane forgets an answer
	// then, and the cache, which may have heard it again last, an hour later.
	replyTTL = time.Hour
)

// Versions of what is kept, to be raised with its shape. A value of another
// version is a miss. They are not in the keys: an older process must invalidate
// what a newer one put.
const (
	documentVersion = 1
	replyVersion    = 1
)

// kept is a value with its version.
type kept[T any] struct {
	Version int `json:"v"`
	Value   T   `json:"value"`
}

// recall finds a value of a version, or tells what to keep it with.
func recall[T any](ctx context.Context, c cache.Cache, key string, version int) (T, bool, cache.Miss) {
	var k kept[T]
	b, miss := c.Get(ctx, key)
	ok := b != nil && json.Unmarshal(b, &k) == nil && k.Version == version
	return k.Value, ok, miss
}

// keep puts a value. Who asked may have gone: the next one profits.
func keep[T any](ctx context.Context, c cache.Cache, miss cache.Miss, version int, v T, ttl time.Duration) {
	if b, err := json.Marshal(kept[T]{version, v}); err == nil { // what was answered already encodes
		c.Put(context.WithoutCancel(ctx), miss, b, ttl)
	}
}

func documentKey(v *business.View, key string) string { return v.Name + ":" + key }

// DocumentsChanged drops the documents that a writer of the read model has changed
// from the cache: it is a projection.Config's Changed.
func DocumentsChanged(c cache.Cache) func(v *business.View, keys []string) {
	return func(v *business.View, keys []string) {
		names := make([]string, len(keys))
		for i, key := range keys {
			names[i] = documentKey(v, key)
		}
		c.Invalidate(context.Background(), names, documentTTL) // which has a limit of its own
	}
}

// cachedDocument is a document as JSON, from the cache if it is there.
func (g *gateway) cachedDocument(ctx context.Context, v *business.View, key string) (json.RawMessage, error) {
	body, ok, miss := recall[json.RawMessage](ctx, g.Documents, documentKey(v, key), documentVersion)
	if ok {
		return body, nil
	}
	d, err := g.Reads.Document(ctx, v, key)
	if err != nil {
		return nil, err
	}
	body = projection.JSON(v, d)
	keep(ctx, g.Documents, miss, documentVersion, body, documentTTL)
	return body, nil
}

// remembered is a command's reply, and the command that it answers.
type remembered struct {
	Digest string              `json:"digest"`
	Status streams.ReplyStatus `json:"status"`
	Body   json.RawMessage     `json:"body"`
	Token  string              `json:"token,omitempty"`
}

// recalled sends a command to its lane, unless the same one was answered lately. It
// only ever leaves out a command that was decided: the lane, which stores the
// replies with their effects, decides an id once whatever the cache says.
func (g *gateway) recalled(r *http.Request, q request, d door, cmd streams.Command) (streams.CommandReply, error) {
	store := g.Incarnation(d.service)
	if g.Replies == nil || store == "" || q.key == "" { // an id that nobody can send again
		return g.command(r.Context(), q, d, cmd)
	}
	// A restored store has forgotten what it had answered: so has its key.
	key, digest := "reply:"+sum(store, cmd.ID), sum(cmd.Name, cmd.Key, string(cmd.Body))
	m, ok, miss := recall[remembered](r.Context(), g.Replies, key, replyVersion)
	if ok && m.Digest == digest {
		return streams.CommandReply{Status: m.Status, Body: m.Body, Token: m.Token}, nil
	}
	reply, err := g.command(r.Context(), q, d, cmd)
	if err == nil && lasting(reply) {
		keep(r.Context(), g.Replies, miss, replyVersion, remembered{digest, reply.Status, reply.Body, reply.Token}, replyTTL)
	}
	return reply, err
}

// lasting tells the replies that the lane has stored. It does not store that it
// is of a version that does not know the command.
func lasting(reply streams.CommandReply) bool {
	var no streams.Rejection
	switch reply.Status {
	case streams.ReplyDone:
		return true
	case streams.ReplyRejected:
		return json.Unmarshal(reply.Body, &no) == nil && no.Code != unknownCommand
	}
	return false
}

// sum tells lists of texts apart.
func sum(texts ...string) string {
	h := sha256.New()
	for _, t := range texts {
		fmt.Fprintf(h, "%d:%s", len(t), t)
	}
	return hex.EncodeToString(h.Sum(nil))
}
