package rabbitmq

import (
	"context"
	"fmt"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"github.com/weirstream/weir/streams"
)

// Headers of a command and of its reply. The rest is in AMQP's own properties:
// the command's id is the message's, its name the type.
const (
	headerKey         = "weir-key"
	headerCorrelation = "weir-correlation"
	headerTraceparent = "traceparent"
	headerStatus      = "weir-status"
	headerToken       = "weir-token"
)

// commandMessage packs a command. It expires with its sender's patience: who
// gave up sends it again, under the same id.
func commandMessage(ctx context.Context, cmd *streams.Command, number string) amqp.Publishing {
	ttl := defaultTTL
	if at, ok := ctx.Deadline(); ok {
		ttl = max(time.Until(at), time.Millisecond)
	}
	return amqp.Publishing{MessageId: cmd.ID, Type: cmd.Name, ContentType: "application/json", Body: cmd.Body, DeliveryMode: amqp.Persistent,
		CorrelationId: number, ReplyTo: directReplyTo, Expiration: strconv.FormatInt(max(ttl.Milliseconds(), 1), 10),
		Headers: amqp.Table{headerKey: cmd.Key, headerCorrelation: cmd.Correlation, headerTraceparent: cmd.Traceparent}}
}

// readCommand unpacks a command, or tells why it is none.
func readCommand(d *amqp.Delivery) (streams.Command, error) {
	cmd := streams.Command{ID: d.MessageId, Name: d.Type, Body: d.Body, Key: text(d.Headers, headerKey),
		Correlation: text(d.Headers, headerCorrelation), Traceparent: text(d.Headers, headerTraceparent)}
	if cmd.ID == "" || cmd.Name == "" {
		return cmd, fmt.Errorf("a command has no message id or no type")
	}
	return cmd, streams.CheckName(cmd.Key)
}

func replyMessage(number string, r *streams.CommandReply) amqp.Publishing {
	return amqp.Publishing{CorrelationId: number, ContentType: "application/json", Body: r.Body,
		Headers: amqp.Table{headerStatus: string(r.Status), headerToken: r.Token}}
}

func readReply(d *amqp.Delivery) streams.CommandReply {
	r := streams.CommandReply{Status: streams.ReplyStatus(text(d.Headers, headerStatus)), Token: text(d.Headers, headerToken)}
	if len(d.Body) > 0 {
		r.Body = d.Body
	}
	return r
}

func text(t amqp.Table, name string) string {
	s, _ := t[name].(string)
	return s
}
