// Package gateway is the REST entrance: it turns requests into commands to the
// services' lanes, and answers questions from the read model. openapi.yaml
// describes it.
package gateway

import (
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
)

//go:embed openapi.yaml
var openapi []byte

// Config is what the gateway needs.
type Config struct {
	Commands   streams.Commands
	Topology   *streams.Topology // says who takes which command
	Partitions int32
	Reads      *projection.Model
	Timeout    time.Duration // for a command's reply; 10 s if 0
	Wait       time.Duration // for the read model to reach a token; 2 s if 0
	Limit      edge.Limit    // of commands
	Trace      edge.Trace    // optional
	// Route hears of every route that there is, before it is asked; optional.
	Route func(pattern string, methods ...string)
	Log   *slog.Logger // discards if nil

	// Replies remembers answers to commands, Orders what was read of orders: nil
	// for not at all. Who writes the read model must call OrdersChanged on the
	// latter, or orders lag behind by seconds.
	Replies, Orders cache.Cache
	// Age is how far the read model is behind, false if that is not known; nil: it
	// is not.
	Age func() (time.Duration, bool)
	// Incarnation names the store of a service, whose answers Replies remembers;
	// "" or nil: not known, and nothing is remembered.
	Incarnation func(service string) string
}

// TokenHeader carries what to wait for to read one's own write: it is in the
// answer to a command, and may be sent with a question.
const TokenHeader = "Weir-Token"

// AgeHeader says in every answer from the read model how many seconds it is
// behind the log: 0 if it holds all, "unknown" if that cannot be told.
const AgeHeader = "Weir-Read-Model-Age"

// Names of the commands that the gateway sends.
const (
	placeOrder  = "place-order"
	cancelOrder = "cancel-order"
)

// gateway is the state behind the handler.
type gateway struct {
	Config
	service  map[string]string // who takes each command
	register *streams.Register
}

// New makes the handler of every path in openapi.yaml but /v1/events, which is
// ingestion's. It fails if nobody takes the commands.
func New(cfg Config) (http.Handler, error) {
	if cfg.Commands == nil || cfg.Topology == nil || cfg.Reads == nil || cfg.Partitions < 1 {
		return nil, errors.New("the gateway needs commands, a topology, a read model and a partition count")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 10 * time.Second
	}
	if cfg.Wait == 0 {
		cfg.Wait = 2 * time.Second
	}
	if cfg.Age == nil {
		cfg.Age = func() (time.Duration, bool) { return 0, false }
	}
	if cfg.Incarnation == nil {
		cfg.Incarnation = func(string) string { return "" }
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	g := &gateway{Config: cfg, service: map[string]string{}, register: streams.NewRegister(cfg.Commands, cfg.Topology, cfg.Partitions)}
	for _, name := range []string{placeOrder, cancelOrder} {
		service, _, ok := cfg.Topology.CommandTarget(name)
		if !ok {
			return nil, fmt.Errorf("no decider takes command %q: add the order service to the topology", name)
		}
		g.service[name] = service
	}
	mux := http.NewServeMux()
	for path, methods := range g.routes() {
		mux.Handle(path, methods)
		if cfg.Route != nil {
			cfg.Route(path, slices.Collect(maps.Keys(methods))...)
		}
	}
	mux.HandleFunc("/", edge.NotFound)
	return cfg.Trace.Handler(mux), nil
}

// routes are the gateway's resources by their path; a test compares them with
// openapi.yaml.
func (g *gateway) routes() map[string]edge.Methods {
	return map[string]edge.Methods{
		"/v1/orders":              {http.MethodGet: g.aged(g.orders), http.MethodPost: g.Limit.Handler(g.place)},
		"/v1/orders/{id}":         {http.MethodGet: g.aged(g.order)},
		"/v1/orders/{id}/cancel":  {http.MethodPost: g.Limit.Handler(g.cancel)},
		"/v1/orders/{id}/history": {http.MethodGet: g.aged(g.history)},
		"/v1/sagas":               {http.MethodGet: g.aged(g.sagas)},
		"/v1/sagas/{correlation}": {http.MethodGet: g.aged(g.saga)},
		"/v1/skipped":             {http.MethodGet: g.aged(g.skipped)},
		"/v1/openapi.yaml":        {http.MethodGet: description},
	}
}

func description(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/yaml")
	_, _ = w.Write(openapi) // who asked has gone: nobody is left to tell
}
