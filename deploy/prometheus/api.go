package prometheus

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"runtime"
	"time"

	"github.com/grafana/regexp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/common/route"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/util/features"
	"github.com/prometheus/prometheus/util/notifications"
	v1 "github.com/prometheus/prometheus/web/api/v1"

	"github.com/weirstream/weir/alerts/rulefile"
)

// Path is where ServeHTTP wants to be mounted. The API is below it: Grafana's
// data source is http://host:port/prometheus.
const Path = "/prometheus/"

// Version is Prometheus' own, which Grafana chooses features by: of the module
// v0.316.0 it is 3.16.0.
const Version = "3.16.0"

// lookback is how old a series' newest sample may be before a query misses it.
const lookback = 5 * time.Minute

// errClosed is the answer of a server whose Run has ended.
var errClosed = errors.New("prometheus: closed")

const noPages = "There are no pages here, only Prometheus' HTTP API, at " + Path + "api/v1/: a data source for Grafana.\n"

// ServeHTTP answers Prometheus' HTTP API at /prometheus/api/v1/. It only reads:
// whatever writes or deletes is switched off.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, leave, err := s.enter(r.Context())
	if errors.Is(err, errClosed) {
		http.Error(w, "Prometheus is shutting down", http.StatusServiceUnavailable)
	}
	if err != nil {
		return
	}
	defer leave()
	s.api.ServeHTTP(w, r.WithContext(ctx))
}

// enter waits for a free place among the queries. The context that it gives ends
// with the server too; leave must be called.
func (s *Server) enter(ctx context.Context) (inner context.Context, leave func(), err error) {
	select {
	case s.slots <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	case <-s.ctx.Done():
		return nil, nil, errClosed
	}
	if s.ctx.Err() != nil {
		<-s.slots
		return nil, nil, errClosed
	}
	inner, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.ctx, cancel)
	return inner, func() {
		stop()
		cancel()
		<-s.slots
	}, nil
}

// newAPI is Prometheus' own API over the parts of this server.
func (s *Server) newAPI(c Config, metrics *prometheus.Registry) http.Handler {
	external, _ := url.Parse(c.ExternalURL) // buildRules has
	scrapes := func(context.Context) v1.TargetRetriever { return s.scrapes }
	api := v1.NewAPI(s.engine, s.db, nil, s.db,
		func(context.Context) v1.ScrapePoolsRetriever { return s.scrapes }, scrapes,
		func(context.Context) v1.AlertmanagerRetriever { return noAlertmanager{} },
		func() config.Config { return *s.config }, map[string]string{},
		v1.GlobalURLOptions{ListenAddress: external.Host, Host: external.Host, Scheme: external.Scheme},
		func(h http.HandlerFunc) http.HandlerFunc { return h }, // ready from the start
		admin{s.db}, c.Dir, false, false, 0, c.Log,
		func(context.Context) v1.RulesRetriever { return s.rules },
		maxSamples, maxQueries, 1<<20, // of remote reads: samples, at once, bytes of a frame
		false, regexp.MustCompile(`^$`), // no other site's pages may ask
		runtimeInfo(c), &v1.PrometheusVersion{Version: Version, GoVersion: runtime.Version()},
		func() []notifications.Notification { return nil },
		func() (<-chan notifications.Notification, func(), bool) { return nil, nil, false },
		metrics, metrics, nil, false, nil, false, false, false, lookback, false, false, nil,
		features.NewRegistry(), v1.OpenAPIOptions{}, rulefile.PromQL, false, queryTimeout)
	r := route.New()
	api.Register(r)
	mux := http.NewServeMux()
	mux.Handle(Path+"api/v1/", http.StripPrefix(Path+"api/v1", r))
	mux.HandleFunc(Path, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, noPages, http.StatusNotFound) })
	return mux
}

// noAlertmanager: nobody is told about alerts but who asks.
type noAlertmanager struct{}

func (noAlertmanager) Alertmanagers() []*url.URL        { return nil }
func (noAlertmanager) DroppedAlertmanagers() []*url.URL { return nil }

// admin is what the API wants to know about the database.
type admin struct{ *tsdb.DB }

func (a admin) Stats(label string, limit int) (*tsdb.Stats, error) {
	return a.Head().Stats(label, limit), nil
}
func (a admin) WALReplayStatus() (tsdb.WALReplayStatus, error) {
	return tsdb.WALReplayStatus{}, nil // read before Open returned
}
func (a admin) BlockMetas() ([]tsdb.BlockMeta, error) { return a.DB.BlockMetas(), nil }

func runtimeInfo(c Config) func() (v1.RuntimeInfo, error) {
	started := time.Now()
	return func() (v1.RuntimeInfo, error) {
		host, err := os.Hostname()
		return v1.RuntimeInfo{StartTime: started, Hostname: host, ServerTime: time.Now(), ReloadConfigSuccess: true, LastConfigTime: started,
			GoroutineCount: runtime.NumGoroutine(), GOMAXPROCS: runtime.GOMAXPROCS(0), StorageRetention: model.Duration(c.Retention).String()}, err
	}
}
