// Package console is the live page of a running platform: what flows, what
// waits, what failed, and every saga's story. It renders on the server from
// the read model, the recent traces and the metrics, and works without script.
package console

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// Config is what the page shows. Reads, Metrics and Topology are needed; what
// else is missing is left out of the page.
type Config struct {
	Reads    *projection.Model
	Metrics  prometheus.Gatherer
	Topology *streams.Topology
	Business *business.Business // its sagas and the views that they are about
	Traces   *telemetry.Recent
	Jaeger   *telemetry.Jaeger // where the traces of all processes are, if anywhere
	// Analytics are asked the business's questions.
	Analytics *analytics.Model
	// NotReady lists the lanes that are not at work, each with its reason.
	NotReady func() []string
	// Degraded lists what else does not work, each with its reason.
	Degraded func() []string
	// ReadsBehind is how far the read model is behind, an error if that is not known.
	ReadsBehind func() (records int64, age time.Duration, err error)
	// Letters lists parked inputs in the order of their keys.
	Letters func(context.Context) ([]Letter, error)
	// Retry decides a parked key's inputs again; Drop does so without the first.
	// Both tell how many are parked still.
	Retry, Drop func(ctx context.Context, service string, key streams.StreamID) (left int, err error)
	// SLOs are the objectives and Alerts the pending and firing alerts. Both are
	// asked at most every two seconds, and given up after two: every page waits
	// for them.
	SLOs   func(context.Context) ([]SLO, error)
	Alerts func(context.Context) ([]Alert, error)
	// AlertRules are all alerts that are watched for.
	AlertRules []AlertRule
	// Silences are what keeps alerts quiet now; nil if nobody can be asked.
	Silences func(context.Context) ([]Silence, error)
	// Runbook is what to do about an alert of this name, in Markdown.
	Runbook func(name string) (markdown string, ok bool)
	// Faults are what can be broken on purpose, always in the same order.
	Faults      func() []Fault
	SwitchFault func(ctx context.Context, name string, on bool) error
	Now         func() time.Time // time.Now if nil
	Log         *slog.Logger     // discards if nil
}

// Letter is a parked input: one that failed, or one that waits behind it.
type Letter struct {
	Service     string
	Decider     string
	Key         string
	Kind        string // event, command, timer or outcome
	Name        string // of the event, command, timer or effect
	ID          string
	From        string
	At          time.Time
	Reason      string // empty: it waits behind the failed one
	Stack       string
	Correlation string
	Traceparent string
	Data        string // as it may be shown
}

// Console serves the page. Run feeds its curves.
type Console struct {
	Config
	sagas   []declared
	stream  drawing
	shape   shape
	samples samples
	pages   map[string]*template.Template
	mux     *http.ServeMux
	own     []string // patterns beside those of views
	began   time.Time
	results results

	bulk   bulk
	jaeger asked

	pulses map[string]*kept[pulse] // by saga; of no name if there is none
	flight kept[projection.InFlight]
	counts kept[[]viewCounts]
	parked kept[[]Letter]
	need   kept[[]concern]
	slos   kept[[]SLO]
	alerts kept[[]Alert]
	// what is kept quiet
	silences kept[[]Silence]

	differences kept[[]analytics.Difference]
	away        away // of analytics
}

//go:embed page
var pageFiles embed.FS

//go:embed asset
var assetFiles embed.FS

// New makes the page. It fails if something that it cannot do without is missing.
func New(cfg Config) (*Console, error) {
	if cfg.Reads == nil || cfg.Metrics == nil || cfg.Topology == nil || cfg.Business == nil {
		return nil, errors.New("the live page needs a read model, metrics and a topology")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Traces == nil {
		cfg.Traces = &telemetry.Recent{}
	}
	if cfg.NotReady == nil {
		cfg.NotReady = func() []string { return nil }
	}
	if cfg.Degraded == nil {
		cfg.Degraded = func() []string { return nil }
	}
	if cfg.ReadsBehind == nil {
		cfg.ReadsBehind = func() (int64, time.Duration, error) { return 0, 0, errors.New("nobody measures it here") }
	}
	if cfg.Letters == nil {
		cfg.Letters = func(context.Context) ([]Letter, error) { return nil, nil }
	}
	c := &Console{Config: cfg, began: cfg.Now(), mux: http.NewServeMux(), bulk: bulk{asked: make(chan []target, 1)}}
	c.pulses = map[string]*kept[pulse]{"": {}}
	for _, s := range cfg.Business.Sagas {
		c.sagas, c.pulses[s.Name] = append(c.sagas, c.declare(s)), &kept[pulse]{}
	}
	c.stream = draw(cfg.Topology.Flows(), func(name string) bool {
		_, _, ok := cfg.Topology.Decider(name)
		return ok
	})
	c.shape = shapeOf(cfg.Topology, cfg.Business.Sagas)
	if err := c.parse(); err != nil {
		return nil, err
	}
	c.routes()
	c.viewRoutes()
	return c, nil
}

func (c *Console) parse() error {
	c.pages = map[string]*template.Template{}
	for _, name := range []string{"overview", "sagas", "saga", "views", "view", "document", "traces", "trace", "slos", "alerts", "runbook", "letters", "faults", "questions", "question", "problem"} {
		t, err := template.New(name).Funcs(c.words()).ParseFS(pageFiles, "page/frame.html", "page/parts.html", "page/"+name+".html")
		if err != nil {
			return fmt.Errorf("the live page's template %s: %w", name, err)
		}
		c.pages[name] = t
	}
	return nil
}

func (c *Console) routes() {
	c.handle("GET /{$}", c.overview)
	c.handle("GET /sagas", c.sagaList)
	c.handle("GET /sagas/{correlation}", c.sagaPage)
	c.handle("GET /views", c.viewList)
	c.handle("GET /traces", c.traceList)
	c.handle("GET /traces/{trace}", c.tracePage)
	c.handle("GET /dead-letters", c.letters)
	c.handle("POST /dead-letters/retry", c.act("retry"))
	c.handle("POST /dead-letters/drop", c.act("drop"))
	c.handle("POST /dead-letters/retry-found", c.retryFound)
	c.handle("POST /dead-letters/stop", c.stopBulk)
	if c.SLOs != nil {
		c.handle("GET /slos", c.sloPage)
	}
	if c.Alerts != nil {
		c.handle("GET /alerts", c.alertPage)
	}
	c.handle("GET /runbooks/{name}", c.runbookPage)
	if c.Analytics != nil {
		c.handle("GET /analytics", c.questionList)
		c.handle("GET /analytics/{question}", c.questionPage)
		c.handle("GET /analytics/{question}/rows.csv", c.questionCSV)
	}
	if c.Faults != nil {
		c.handle("GET /faults", c.faultPage)
	}
	if c.SwitchFault != nil {
		c.handle("POST /faults/switch", c.switchFault)
	}
	for _, name := range []string{"console.css", "console.js", "icon.svg"} {
		c.handle("GET /console/"+name, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=60")
			http.ServeFileFS(w, r, assetFiles, "asset/"+name)
		})
	}
	c.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := c.mux.Handler(&http.Request{Method: http.MethodGet, URL: r.URL, Host: r.Host}); pattern != "/" {
			w.Header().Set("Allow", "GET, HEAD")
			c.problem(w, r, http.StatusMethodNotAllowed, "This page can be looked at, and nothing else.")
			return
		}
		c.problem(w, r, http.StatusNotFound, "Nothing is at this address.")
	})
}

// handle serves a page of its own, which no view's can be.
func (c *Console) handle(pattern string, h http.HandlerFunc) {
	c.own = append(c.own, pattern)
	c.mux.HandleFunc(pattern, h)
}

// policy lets the page load its own style and script, and nothing else.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// ServeHTTP answers with a page.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if !utf8.ValidString(r.URL.Path) || strings.ContainsFunc(r.URL.Path, unicode.IsControl) { // a store would fail at it
		c.problem(w, r, http.StatusNotFound, "Nothing is at this address.")
		return
	}
	c.mux.ServeHTTP(w, r)
}

// frame is what every page has around it.
type frame struct {
	Title     string
	At        string // of the navigation
	Live      bool   // worth asking for again
	Concerns  int
	Parked    int
	NotReady  int
	Firing    int // alerts
	Paging    bool
	HasSLOs   bool
	HasAlerts bool
	HasFaults bool
	Faults    []Fault // that are on
	HasViews  bool
	Asked     bool   // analytics is here
	Behind    string // how old documents and sagas on it are, if that is worth a word
	Up        string
	Now       stamp
	Body      any
}

func (c *Console) show(w http.ResponseWriter, r *http.Request, status int, page string, f frame) {
	c.surround(r.Context(), &f)
	var b bytes.Buffer
	if err := c.pages[page].ExecuteTemplate(&b, "frame", f); err != nil {
		c.Log.ErrorContext(r.Context(), "the live page cannot be rendered", "page", page, "error", err)
		http.Error(w, "The page cannot be rendered. The log says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(visible(b.Bytes())) // who asked has gone: nobody is left to tell
}

func (c *Console) surround(ctx context.Context, f *frame) {
	for _, n := range c.concerns(ctx) {
		if n.Level != calm {
			f.Concerns++
		}
		f.Parked += n.parked
	}
	alerts, _ := c.alertsNow(ctx) // the list of concerns says if they cannot be read
	for _, a := range alerts {
		if a.State == firing {
			f.Firing++
			f.Paging = f.Paging || a.Severity == page
		}
	}
	f.HasSLOs, f.HasAlerts, f.HasFaults, f.Faults = c.SLOs != nil, c.Alerts != nil, c.Faults != nil, c.faultsOn()
	f.NotReady = len(c.NotReady()) + len(c.Degraded())
	f.HasViews, f.Asked = len(c.Business.Views()) > 0, c.Analytics != nil
	if f.At == "overview" || f.At == "sagas" || f.At == "views" {
		f.Behind = c.behind()
	}
	f.Up, f.Now = coarse(c.Now().Sub(c.began)), stampAt(c.Now(), c.Now())
}

func (c *Console) problem(w http.ResponseWriter, r *http.Request, status int, what string) {
	c.show(w, r, status, "problem", frame{Title: http.StatusText(status), Live: status == http.StatusServiceUnavailable, Body: what}) // it will pass
}

// broken answers for a store that cannot be read.
func (c *Console) broken(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return // who asked has gone
	}
	c.Log.ErrorContext(r.Context(), "the live page cannot read", "path", r.URL.Path, "error", err)
	c.problem(w, r, http.StatusServiceUnavailable, "This cannot be read at the moment. Try again; the log of the process says why.")
}

// kept is an answer that is asked for again only after a while, however many
// look at the page.
type kept[T any] struct {
	mu     sync.Mutex
	at     time.Time
	val    T
	err    error
	good   T         // the last that was no error
	goodAt time.Time // when it was asked for
	lasted time.Duration
}

func (k *kept[T]) get(now time.Time, fresh time.Duration, ask func() (T, error)) (T, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at.IsZero() || now.Sub(k.at) >= fresh || now.Before(k.at) {
		began := time.Now()
		k.val, k.err = ask()
		k.at, k.lasted = now, time.Since(began)
		if k.err == nil {
			k.good, k.goodAt = k.val, now
		}
	}
	return k.val, k.err
}

// latest is the last answer that was no error, and when; the zero time if there is none.
func (k *kept[T]) latest() (T, time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.good, k.goodAt
}

// took is how long the last answer took.
func (k *kept[T]) took() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.lasted
}

// forget has the next one asked again.
func (k *kept[T]) forget() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.at = time.Time{}
}
