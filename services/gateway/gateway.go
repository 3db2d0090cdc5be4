// Package gateway is the REST entrance: it turns requests into commands to the
// services' lanes, and answers questions from the read model. All of it follows from
// the business: its commands' doors, its views, and the description of both.
package gateway

import (
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Config is what the gateway needs.
type Config struct {
	Business   *business.Business
	Topology   *streams.Topology // of the business
	Commands   streams.Commands
	Partitions int32
	Reads      *projection.Model
	Timeout    time.Duration // for a command's reply; 10 s if 0
	Wait       time.Duration // for the read model to reach a token; 2 s if 0
	Limit      edge.Limit    // of commands
	Trace      edge.Trace    // optional
	// Route hears of every route that there is, before it is asked; optional.
	Route func(pattern string, methods ...string)
	Log   *slog.Logger // discards if nil

	// Replies remembers answers to commands, Documents what was read of views: nil
	// for not at all. Who writes the read model must call DocumentsChanged on the
	// latter, or documents lag behind by seconds.
	Replies, Documents cache.Cache
	// Age is how far the read model is behind, false if that is not known; nil: it
	// is not.
	Age func() (time.Duration, bool)
	// Analytics are asked the business's questions; nil: there are none here.
	Analytics *analytics.Model
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

// gateway is the state behind the handler.
type gateway struct {
	Config
	register *streams.Register
	openapi  []byte
}

// Gateway answers every path of its description but /v1/events, which is ingestion's.
type Gateway struct {
	http.Handler
	// Pattern is the route that a request takes; empty if there is none.
	Pattern func(*http.Request) string
}

// New makes the gateway. It fails if nobody takes a command.
func New(cfg Config) (*Gateway, error) {
	if cfg.Business == nil || cfg.Commands == nil || cfg.Topology == nil || cfg.Reads == nil || cfg.Partitions < 1 {
		return nil, errors.New("the gateway needs a business, commands, a topology, a read model and a partition count")
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
	g := &gateway{Config: cfg, register: streams.NewRegister(cfg.Commands, cfg.Topology, cfg.Partitions)}
	routes, err := g.routes()
	if err == nil {
		g.openapi, err = Describe(cfg.Business, cfg.Topology)
	}
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	for path, methods := range routes {
		mux.Handle(path, methods)
		if cfg.Route != nil {
			cfg.Route(path, slices.Collect(maps.Keys(methods))...)
		}
	}
	mux.HandleFunc("/", edge.NotFound)
	pattern := func(r *http.Request) string {
		if _, p := mux.Handler(r); p != "/" {
			return p
		}
		return ""
	}
	return &Gateway{cfg.Trace.Handler(pattern, mux), pattern}, nil
}

// routes are the gateway's resources by their path.
func (g *gateway) routes() (map[string]edge.Methods, error) {
	routes := map[string]edge.Methods{
		"/v1/sagas":               {http.MethodGet: g.aged(g.sagas)},
		"/v1/sagas/{correlation}": {http.MethodGet: g.aged(g.saga)},
		"/v1/skipped":             {http.MethodGet: g.aged(g.skipped)},
		DescriptionPath:           {http.MethodGet: g.describe},
		AnalyticsPath:             {http.MethodGet: g.questions},

		AnalyticsPath + "/{question}": {http.MethodGet: g.question},
	}
	add := func(path, method string, h http.HandlerFunc) {
		if routes[path] == nil {
			routes[path] = edge.Methods{}
		}
		routes[path][method] = h
	}
	for _, v := range g.Business.Views() {
		add(v.Path, http.MethodGet, g.aged(g.list(v)))
		add(v.DocumentPath(), http.MethodGet, g.aged(g.show(v)))
		if v.History {
			add(v.HistoryPath(), http.MethodGet, g.aged(g.history(v)))
		}
	}
	for _, c := range g.Business.Commands() {
		d, err := g.newDoor(c)
		if err != nil {
			return nil, err
		}
		add(c.Path, c.Verb(), g.Limit.Handler(g.ask(d)))
	}
	return routes, nil
}

// DescriptionPath is where the interface is described.
const DescriptionPath = "/v1/openapi.json"

func (g *gateway) describe(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/vnd.oai.openapi+json;version=3.1")
	_, _ = w.Write(g.openapi) // who asked has gone: nobody is left to tell
}
