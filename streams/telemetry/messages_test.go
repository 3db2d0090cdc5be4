package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// A command that goes over a server begins a span when it is sent, below the request's,
// and is decided below that one; both are named after the queue. One that stays in the
// process is no message.
func TestCommandsAreMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		recent := &telemetry.Recent{}
		queues := telemetry.Queues{System: "rabbitmq", Name: func(service string, lane int32) string { return fmt.Sprint("weir.", service, ".", lane) }}
		tel, err := telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), Exporters: exporters(recent), SpansPerSecond: 1000, Queues: queues})
		if err != nil {
			t.Fatal(err)
		}
		port := streams.NewCommands()
		queue := port.Serve("desk", 2, 1)
		go func() {
			c := <-queue.In
			_, done := tel.OnDecide(streams.Hop{Service: "desk", Decider: "desk", Kind: streams.CommandInput, Name: c.Name, Partition: 2, ID: c.ID, Origin: streams.Origin{Traceparent: c.Traceparent}})
			time.Sleep(time.Millisecond)
			done(streams.BatchInfo{}, nil)
			c.Reply(streams.CommandReply{})
		}()
		commands := tel.Sending("gateway", port)
		cmd := streams.Command{ID: "c-1", Name: "run-errand", Key: "ada", Traceparent: "00-" + traceID + "-" + rootID + "-01"}
		if _, err := commands.Send(t.Context(), "desk", 2, cmd); err != nil {
			t.Fatal(err)
		}
		if _, err := commands.Send(t.Context(), "nobody", 0, cmd); !errors.Is(err, streams.ErrNoLane) {
			t.Errorf("%v", err)
		}
		queue.Close()
		if err := tel.Close(context.Background()); err != nil {
			t.Error(err)
		}
		spans := byName(t, recent.Trace(traceID))
		var sent, lost telemetry.Span
		for _, s := range spans["send run-errand"] {
			if s.Error == "" {
				sent = s
			} else {
				lost = s
			}
		}
		decided := under(t, spans, sent.ID, "desk run-errand")
		if sent.Name != "send weir.desk.2" || sent.Kind != "producer" || sent.Parent != rootID || lost.Name != "send weir.nobody.0" || decided.Name != "process weir.desk.2" || decided.Kind != "consumer" {
			t.Errorf("%s, %s, then %s", describe(sent), describe(lost), describe(decided))
		}
		for operation, s := range map[string]telemetry.Span{"send": sent, "process": decided} {
			wantAttributes(t, s, map[string]string{"messaging.system": "rabbitmq", "messaging.destination.name": "weir.desk.2", "messaging.operation.name": operation,
				"messaging.operation.type": operation, "messaging.message.id": "c-1"})
		}
	})
	tel, err := telemetry.New(telemetry.Options{Registerer: prometheus.NewRegistry(), SpansPerSecond: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if port := streams.NewCommands(); tel.Sending("gateway", port) != port {
		t.Error("commands within the process are wrapped")
	}
}
