package gateway

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
)

const idempotencyHeader = "Idempotency-Key"

// request is what a client calls one of its requests.
type request struct {
	key   string // its Idempotency-Key, "" without one
	scope string // whose, and for which operation: one key may be used for each
}

// commandID is the id of the request's command. Ids are in histories, which
// others may read: nobody finds the key in one.
func (q request) commandID(operation string) string {
	if q.key == "" {
		return operation + ":" + rand.Text()
	}
	return operation + ":" + digest(q.scope+"\x00"+q.key)
}

// readRequest reads the Idempotency-Key. Keys of two callers have nothing to do
// with one another; those without an API key share theirs.
func readRequest(r *http.Request, operation string) (request, *edge.Problem) {
	keys := r.Header.Values(idempotencyHeader)
	if len(keys) == 0 {
		return request{}, nil
	}
	odd := func(c rune) bool { return c < '!' || c > '~' }
	if len(keys) > 1 || len(keys[0]) < 1 || len(keys[0]) > 255 || strings.ContainsFunc(keys[0], odd) {
		return request{}, &edge.Problem{Code: "invalid-idempotency-key", Status: http.StatusBadRequest,
			Detail: "Idempotency-Key is not one text of 1 to 255 printable ASCII characters without spaces"}
	}
	return request{keys[0], operation + " " + edge.Caller(r)}, nil
}

func digest(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:13])
}

// send hands a command to its lane and answers with the reply.
func (g *gateway) send(w http.ResponseWriter, r *http.Request, q request, id string, d door, body streams.Event) {
	cmd, err := streams.NewCommand(id, d.Name, body)
	if err != nil {
		invalid(err.Error()).Write(w)
		return
	}
	cmd.Traceparent = edge.Traceparent(r)
	reply, err := g.recalled(r, q, d, cmd)
	if err != nil {
		unknown(err).Write(w)
		return
	}
	if reply.Status != streams.ReplyDone {
		refusal(reply).Write(w)
		return
	}
	if reply.Token != "" {
		w.Header().Set(TokenHeader, reply.Token)
	}
	if at := d.location(body); at != "" {
		w.Header().Set("Location", at)
	}
	status := http.StatusOK
	if d.Success != 0 {
		status = d.Success
	}
	edge.JSON(w, status, json.RawMessage(reply.Body))
}

// command has a command decided by its lane, after its name was registered: the
// same key with another content may belong to another lane.
func (g *gateway) command(ctx context.Context, q request, d door, cmd streams.Command) (streams.CommandReply, error) {
	ctx, cancel := context.WithTimeout(ctx, g.Timeout)
	defer cancel()
	if q.key != "" {
		name := streams.Name{Scope: q.scope, ID: q.key, Digest: streams.Digest([]byte(cmd.Name), []byte(cmd.Key), cmd.Body)}
		if taken, err := g.register.Take(ctx, []streams.Name{name}); err != nil || taken[0] == streams.NameTaken {
			return streams.CommandReply{Status: streams.ReplyConflict}, err
		}
	}
	return g.whenFree(ctx, d, cmd)
}

// How long a command waits for room in its lane, first and at most: one client's burst
// may fill it, and it has done all of that in a moment.
const (
	firstBusy   = 10 * time.Millisecond
	longestBusy = time.Second
)

// whenFree sends a command, which finds room or learns that the lane is overloaded.
func (g *gateway) whenFree(ctx context.Context, d door, cmd streams.Command) (streams.CommandReply, error) {
	for wait := firstBusy; ; wait *= 2 {
		reply, err := g.Commands.Send(ctx, d.service, streams.Partition(cmd.Key, g.Partitions), cmd)
		if !errors.Is(err, streams.ErrBusy) || wait >= longestBusy {
			return reply, err
		}
		again := time.NewTimer(wait)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return reply, err
		}
	}
}

// unknown says that nobody knows whether the command was decided: asking again
// with the same key is the way to learn it, and is harmless.
func unknown(err error) *edge.Problem {
	detail := "no answer in time; whether it was done is not known"
	switch {
	case errors.Is(err, streams.ErrNoLane):
		detail = "nobody works on this key now: the service is moving between instances, or stands still (GET /readyz)"
	case errors.Is(err, errOlder):
		detail = "the service is of a version that does not know this command yet"
	case errors.Is(err, streams.ErrBusy):
		detail = "the service has too much to do at the moment"
	}
	return &edge.Problem{Code: "try-again", Status: http.StatusServiceUnavailable, RetryAfter: 1,
		Detail: detail + ": send the same request again, with the same Idempotency-Key; it is carried out once"}
}

// unknownCommand is a lane's rejection of what only a newer version takes.
const unknownCommand = "unknown-command"

var errOlder = errors.New("the service is older than the gateway")

// statuses of rejections. One without a class was stored by an older version.
var statuses = map[streams.Class]int{streams.Invalid: http.StatusUnprocessableEntity, streams.Missing: http.StatusNotFound,
	streams.Conflict: http.StatusConflict, streams.Forbidden: http.StatusForbidden, "": http.StatusConflict}

func refusal(reply streams.CommandReply) *edge.Problem {
	switch reply.Status {
	case streams.ReplyConflict:
		return &edge.Problem{Code: "idempotency-conflict", Status: http.StatusConflict, Detail: "this Idempotency-Key was used with another content: choose another key"}
	case streams.ReplyParked:
		// The platform failed at it, and not the client.
		return &edge.Problem{Code: "parked", Status: http.StatusServiceUnavailable, RetryAfter: 60, Detail: "something about this key failed and waits for an operator: try again when it is mended"}
	}
	var no streams.Rejection
	if err := json.Unmarshal(reply.Body, &no); err != nil || no.Code == "" {
		no = streams.Rejection{Class: streams.Conflict, Code: "rejected", Detail: "the command was refused"}
	}
	if no.Code == unknownCommand { // in the midst of a deployment, which is not the client's doing
		return unknown(errOlder)
	}
	status, ok := statuses[no.Class]
	if !ok { // of a newer version
		status = http.StatusConflict
	}
	return &edge.Problem{Code: no.Code, Status: status, Detail: no.Detail}
}
