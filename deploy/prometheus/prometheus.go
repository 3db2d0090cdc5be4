// Package prometheus runs Prometheus inside this process: it scrapes, stores,
// evaluates rules and answers Prometheus' HTTP API, so that whoever has only Go
// sees metrics and alerts. It has no web pages and tells no Alertmanager.
//
// README.md has what it costs.
package prometheus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery/targetgroup"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/rules"
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/weirstream/weir/alerts/rulefile"
)

const (
	queryTimeout = 20 * time.Second
	maxSamples   = 5e6 // that a query may hold in memory, 16 bytes each
	maxQueries   = 20  // at once; more wait
	maxExemplars = 10000
	blockLength  = 30 * time.Minute // what is newer is held in memory, and read again at a start
)

// pool is the scrape pool that all targets are in.
const pool = "weir"

// Target is a process that is asked for metrics.
type Target struct {
	Name    string // the label "job"
	Address string // host:port, the label "instance"
	Path    string // default /metrics
}

// Config says what to scrape and to evaluate, and where to keep it.
type Config struct {
	Targets []Target
	// Rules are files of rule groups by their names, as Prometheus reads them.
	Rules              map[string][]byte
	ScrapeInterval     time.Duration // default 2 s
	EvaluationInterval time.Duration // of groups that name none; default 2 s
	// Dir keeps the samples: who opens it again finds them. One process at a time.
	Dir       string
	Retention time.Duration // default 6 h
	// ExternalURL is where users find the server, for links in alerts:
	// http://localhost:8080/prometheus.
	ExternalURL string
	Log         *slog.Logger
}

// Server is an embedded Prometheus. Open makes one, Run owns it.
type Server struct {
	ctx     context.Context // ends with Run
	end     context.CancelFunc
	config  *config.Config
	targets chan map[string][]*targetgroup.Group
	db      *tsdb.DB
	engine  *promql.Engine
	scrapes *scrape.Manager
	rules   *rules.Manager
	loader  rulefile.Loader
	api     http.Handler
	slots   chan struct{} // one per query that runs
}

// Open opens the directory and checks the rules. Run has to follow, with a
// context that has ended if nothing else: only Run closes.
func Open(c Config) (*Server, error) {
	c = c.withDefaults()
	parsed, err := rulefile.Parse(c.Rules, c.Log)
	if err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	s := &Server{loader: parsed, targets: make(chan map[string][]*targetgroup.Group, 1), slots: make(chan struct{}, maxQueries)}
	s.ctx, s.end = context.WithCancel(context.Background())
	s.targets <- groups(c.Targets)
	if s.config, err = configuration(c); err != nil {
		return nil, fmt.Errorf("prometheus: %w", err)
	}
	metrics := prometheus.NewRegistry() // the server's own, for /api/v1/status
	if s.db, err = openDB(c, metrics); err != nil {
		return nil, fmt.Errorf("prometheus: open %s: %w; if another weir runs there, stop it or choose another directory", c.Dir, err)
	}
	if err := s.build(c, metrics); err != nil {
		return nil, errors.Join(fmt.Errorf("prometheus: %w", err), s.db.Close())
	}
	return s, nil
}

func (c Config) withDefaults() Config {
	c.ScrapeInterval = cmp.Or(c.ScrapeInterval, 2*time.Second)
	c.EvaluationInterval = cmp.Or(c.EvaluationInterval, 2*time.Second)
	c.Retention = cmp.Or(c.Retention, 6*time.Hour)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	c.Log = slog.New(quiet{c.Log.Handler()})
	return c
}

// quiet drops what is below a warning: Prometheus tells every step of its own.
type quiet struct{ slog.Handler }

func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && q.Handler.Enabled(ctx, l)
}
func (q quiet) WithAttrs(as []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(as)} }
func (q quiet) WithGroup(name string) slog.Handler    { return quiet{q.Handler.WithGroup(name)} }

// configuration is Prometheus' own. Scraping native histograms drops the classic
// buckets beside them, which rules and boards read, unless told not to. Only protobuf
// tells since when a counter counts.
func configuration(c Config) (*config.Config, error) {
	return config.Load(fmt.Sprintf(`
global: {scrape_interval: %s, evaluation_interval: %s}
scrape_configs:
  - job_name: %s
    scrape_protocols: [PrometheusProto, OpenMetricsText1.0.0, PrometheusText0.0.4]
    scrape_native_histograms: true
    always_scrape_classic_histograms: true
`, model.Duration(c.ScrapeInterval), model.Duration(c.EvaluationInterval), pool), c.Log)
}

// groups are the targets as discovery would find them.
func groups(targets []Target) map[string][]*targetgroup.Group {
	found := []*targetgroup.Group{}
	for _, t := range targets {
		labels := model.LabelSet{model.JobLabel: model.LabelValue(t.Name), model.AddressLabel: model.LabelValue(t.Address)}
		if t.Path != "" {
			labels[model.MetricsPathLabel] = model.LabelValue(t.Path)
		}
		found = append(found, &targetgroup.Group{Source: fmt.Sprint(len(found)), Targets: []model.LabelSet{labels}})
	}
	return map[string][]*targetgroup.Group{pool: found}
}

func openDB(c Config, metrics prometheus.Registerer) (*tsdb.DB, error) {
	o := tsdb.DefaultOptions()
	o.RetentionDuration = c.Retention.Milliseconds()
	o.MinBlockDuration, o.MaxBlockDuration = blockLength.Milliseconds(), blockLength.Milliseconds()
	o.WALCompression = compression.Snappy
	o.StripeSize = 1024 // for thousands of series: the default is for millions, and takes 4 MB
	o.EnableExemplarStorage, o.MaxExemplars = true, maxExemplars
	o.EnableSTAsZeroSample = true
	return tsdb.Open(c.Dir, c.Log, metrics, o, nil)
}

// build makes all that works on the database.
func (s *Server) build(c Config, metrics *prometheus.Registry) (err error) {
	s.engine = promql.NewEngine(promql.EngineOpts{Logger: c.Log, Reg: metrics, MaxSamples: maxSamples, Timeout: queryTimeout, LookbackDelta: lookback,
		EnableAtModifier: true, EnableNegativeOffset: true, Parser: rulefile.PromQL,
		NoStepSubqueryIntervalFn: func(int64) int64 { return c.EvaluationInterval.Milliseconds() }})
	s.scrapes, err = scrape.NewManager(&scrape.Options{DiscoveryReloadOnStartup: true, EnableStartTimestampZeroIngestion: true}, c.Log, nil, nil, s.db, metrics)
	if err != nil {
		return err
	}
	if err := s.scrapes.ApplyConfig(s.config); err != nil {
		return err
	}
	if err := s.buildRules(c, metrics); err != nil {
		return err
	}
	s.api = s.newAPI(c, metrics)
	return nil
}

// Run scrapes and evaluates until ctx ends; then it lets the queries go that
// still run, closes everything and returns.
func (s *Server) Run(ctx context.Context) error {
	var running sync.WaitGroup
	running.Go(s.rules.Run)
	running.Go(func() { _ = s.scrapes.Run(s.targets) }) // has no errors
	s.awaitPool()
	<-ctx.Done()
	s.end()
	s.scrapes.Stop()
	s.rules.Stop()
	running.Wait()
	for range cap(s.slots) { // a query that reads a closed file ends the process
		s.slots <- struct{}{}
	}
	return s.db.Close()
}

// awaitPool waits for the moment in which the manager has taken the targets over:
// stopped before that, it would start to scrape afterwards. Not for ever, as what
// it cannot take over it only logs.
func (s *Server) awaitPool() {
	for end := time.Now().Add(time.Second); len(s.scrapes.ScrapePools()) == 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}
