package dev

import (
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/services/ingest"
	"github.com/weirstream/weir/streams"
)

// startHTTP serves the platform's interface on a listener.
func (p *platform) startHTTP(l net.Listener) error {
	mux := http.NewServeMux()
	trace := func(r *http.Request) (string, func(int)) { return p.telemetry.OnRequest(r, route(r.URL.Path)) }
	in, err := ingest.New(ingest.Config{Client: p.broker.client(), Topology: p.topology, Partitions: p.Partitions, Trace: trace})
	if err != nil {
		return err
	}
	p.wait = append(p.wait, in.Close)
	api, err := gateway.New(gateway.Config{Commands: p.commands, Topology: p.topology, Partitions: p.Partitions, Reads: p.reads, Trace: trace})
	if err != nil {
		return err
	}
	mux.Handle(ingest.Path, in)
	mux.Handle("/v1/", api)
	mux.Handle("/metrics", promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{EnableOpenMetrics: true}))
	mux.Handle("/readyz", edge.Methods{http.MethodGet: p.readyz})
	letters := &deadLetters{p}
	mux.Handle("/v1/dead-letters", edge.Methods{http.MethodGet: letters.list})
	mux.Handle("/v1/dead-letters/{service}/{decider}/{key}", edge.Methods{http.MethodGet: letters.show})
	mux.Handle("/v1/dead-letters/{service}/{decider}/{key}/retry", edge.Methods{http.MethodPost: letters.act(false)})
	mux.Handle("/v1/dead-letters/{service}/{decider}/{key}/drop", edge.Methods{http.MethodPost: letters.act(true)})
	mux.Handle("/", p.page())
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			p.fail(err)
		}
	}()
	p.wait = append(p.wait, func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		if srv.Shutdown(ctx) != nil { // requests that do not end are cut off
			_ = srv.Close()
		}
		<-served
	})
	return nil
}

// route is a path without its ids, so that metrics have few series.
func route(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) > 3 && parts[1] == "v1" {
		parts[3] = "{id}"
	}
	if len(parts) > 5 {
		parts = parts[:5]
	}
	switch r := strings.Join(parts, "/"); r {
	case "/v1/events", "/v1/orders", "/v1/orders/{id}", "/v1/orders/{id}/cancel", "/v1/orders/{id}/history", "/v1/sagas/{id}", "/v1/openapi.yaml":
		return r
	default:
		return "other"
	}
}

func (p *platform) readyz(w http.ResponseWriter, _ *http.Request) {
	if why := p.notReady(); len(why) > 0 {
		edge.JSON(w, http.StatusServiceUnavailable, map[string]any{"ready": false, "because": why})
		return
	}
	edge.JSON(w, http.StatusOK, map[string]any{"ready": true})
}

// deadLetters lets a person look at parked inputs, and retry or drop them.
type deadLetters struct{ p *platform }

// Letter is a parked input as the interface shows it. Its body stays in the
// store: it may hold what is nobody's business.
type Letter struct {
	Service     string    `json:"service"`
	Decider     string    `json:"decider"`
	Key         string    `json:"key"`
	Kind        string    `json:"kind"`
	Name        string    `json:"name"`
	ID          string    `json:"id"`
	From        string    `json:"from"`
	At          time.Time `json:"at"`
	Reason      string    `json:"reason,omitempty"` // empty: waits behind the failed one
	Stack       string    `json:"stack,omitempty"`
	Correlation string    `json:"correlation"`
	Traceparent string    `json:"traceparent,omitempty"`
}

// maxLetters bounds an answer.
const maxLetters = 1000

func (d *deadLetters) read(ctx context.Context, service string, stream streams.StreamID) ([]Letter, error) {
	out := []Letter{}
	for name, store := range d.p.stores {
		if service != "" && name != service {
			continue
		}
		for lane := range d.p.Partitions {
			rows, err := store.Parked(ctx, lane, stream, 0, maxLetters-len(out))
			if err != nil {
				return nil, err
			}
			for _, r := range rows {
				out = append(out, Letter{name, r.Stream.Decider, r.Stream.Key, string(r.Kind), r.Name, r.ID, r.From, r.At, r.Reason, r.Stack, r.Origin.Correlation, r.Origin.Traceparent})
			}
			if len(out) >= maxLetters {
				return out, nil
			}
		}
	}
	return out, nil
}

func (d *deadLetters) list(w http.ResponseWriter, r *http.Request) {
	rows, err := d.read(r.Context(), r.URL.Query().Get("service"), streams.StreamID{})
	d.answer(w, rows, err)
}

func (d *deadLetters) show(w http.ResponseWriter, r *http.Request) {
	rows, err := d.read(r.Context(), r.PathValue("service"), streams.StreamID{Decider: r.PathValue("decider"), Key: r.PathValue("key")})
	if err == nil && len(rows) == 0 {
		(&edge.Problem{Code: "not-parked", Status: http.StatusNotFound, Detail: "nothing of this key is parked"}).Write(w)
		return
	}
	d.answer(w, rows, err)
}

func (d *deadLetters) answer(w http.ResponseWriter, rows []Letter, err error) {
	if err != nil {
		(&edge.Problem{Code: "store", Status: http.StatusServiceUnavailable, Detail: "the parked inputs cannot be read now: " + err.Error(), RetryAfter: 1}).Write(w)
		return
	}
	edge.JSON(w, http.StatusOK, map[string]any{"dead_letters": rows})
}

func (d *deadLetters) act(drop bool) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		i, ok := d.p.instances[r.PathValue("service")]
		if !ok {
			(&edge.Problem{Code: "unknown-service", Status: http.StatusNotFound, Detail: "no such service runs here"}).Write(w)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), 30*time.Second)
		defer cancel()
		do := i.RetryParked
		if drop {
			do = i.DropParked
		}
		left, err := do(ctx, streams.StreamID{Decider: r.PathValue("decider"), Key: r.PathValue("key")})
		if err != nil {
			(&edge.Problem{Code: "not-possible", Status: http.StatusConflict, Detail: err.Error()}).Write(w)
			return
		}
		edge.JSON(w, http.StatusOK, map[string]any{"left": left})
	}
}
