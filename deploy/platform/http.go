package platform

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/prometheus"
	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/services/gateway/cache"
	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/services/ingest"
)

// startHTTP serves the process's interface: its own state, and that of the whole
// platform if the gateway is here.
func (p *platform) startHTTP(l net.Listener) error {
	mux := http.NewServeMux()
	for path, h := range p.ownRoutes() {
		mux.Handle(path, h)
	}
	if p.units.gateway {
		if err := p.serveGateway(mux); err != nil {
			return err
		}
	}
	p.serveUntilEnd(l, mux)
	return nil
}

// ownRoutes are what every process answers, whatever its units.
func (p *platform) ownRoutes() map[string]http.Handler {
	letters := &deadLetters{p}
	return map[string]http.Handler{
		"/metrics":                          promhttp.HandlerFor(p.linkedMetrics(), promhttp.HandlerOpts{EnableOpenMetrics: true}),
		"/readyz":                           edge.Methods{http.MethodGet: p.readyz},
		"/v1/units":                         edge.Methods{http.MethodGet: p.listUnits},
		"/v1/lanes":                         edge.Methods{http.MethodGet: p.listLanes},
		"/v1/lanes/{service}/{lane}/accept": edge.Methods{http.MethodPost: p.acceptLoss},
		"/v1/units/{name}/restart":          edge.Methods{http.MethodPost: p.restartUnit},
		ReconcilePath:                       edge.Methods{http.MethodGet: p.reconcileState, http.MethodPost: p.reconcile},
		"/v1/units/{name}/accept":           edge.Methods{http.MethodPost: p.acceptUnit},
		"/v1/dead-letters":                  edge.Methods{http.MethodGet: letters.list},
		"/v1/dead-letters/{service}/{decider}/{key}":        edge.Methods{http.MethodGet: letters.show},
		"/v1/dead-letters/{service}/{decider}/{key}/{verb}": edge.Methods{http.MethodPost: letters.act},
		prometheus.Path:            &p.promises,
		"/v1/faults":               edge.Methods{http.MethodGet: p.listFaults},
		"/v1/faults/{name}/{verb}": edge.Methods{http.MethodPost: p.turnFault},
	}
}

// serveGateway adds ingestion, commands, queries and the live page.
func (p *platform) serveGateway(mux *http.ServeMux) error {
	trace := edge.Trace(p.telemetry.OnRequest)
	limit := edge.Limit{Buckets: p.cache, Quota: cache.Quota(p.Config.Quota), Refused: p.telemetry.OnRefused}
	commands := p.telemetry.Sending(GatewayUnit, p.commands)
	in, err := ingest.New(ingest.Config{Client: p.kafka, Topology: p.topology, Partitions: p.Config.Partitions, Commands: commands, Limit: limit, Trace: trace,
		Count: func(client, eventType string, s ingest.Status, age time.Duration) {
			p.telemetry.OnIngest(client, eventType, string(s), age)
		}})
	if err != nil {
		return err
	}
	p.wait = append(p.wait, in.Close)
	p.telemetry.Route(ingest.Path, http.MethodPost)
	p.telemetry.DeclareEvents(p.topology, ingest.Results()...)
	api, err := gateway.New(gateway.Config{Business: p.Business, Commands: commands, Topology: p.topology, Partitions: p.Config.Partitions, Reads: p.reads, Analytics: p.askedAnalytics(),
		Limit: limit, Route: p.telemetry.Route, Replies: p.cache, Documents: p.documentsCache(), Incarnation: p.incarnation, Trace: trace, Log: p.Log,
		Age: func() (time.Duration, bool) {
			_, age, err := p.readsBehind()
			return age, err == nil
		}})
	if err != nil {
		return err
	}
	p.route = func(r *http.Request) string {
		if r.URL.Path == ingest.Path {
			return ingest.Path
		}
		return api.Pattern(r)
	}
	mux.Handle(ingest.Path, p.faults.Entrance(in))
	mux.Handle("/v1/", p.faults.Entrance(api))
	mux.Handle("/", p.page())
	return nil
}

func (p *platform) serveUntilEnd(l net.Listener, h http.Handler) {
	srv := &http.Server{Handler: p.counted(edge.Guard(h, moreHosts, p.hosts...)), ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout: 30 * time.Second, WriteTimeout: 60 * time.Second, IdleTimeout: 2 * time.Minute}
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
}

// counted has the metrics know of clients that ask by a name that nobody here goes by:
// with a name forgotten in the configuration, that may be all.
func (p *platform) counted(h http.Handler) http.Handler {
	if !p.units.gateway {
		return h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !edge.Known(p.hosts, r.Host) {
			_, done := p.telemetry.OnRequest(r, p.route(r))
			defer done(http.StatusMisdirectedRequest, 0)
		}
		h.ServeHTTP(w, r)
	})
}

// readyz tells whether this process takes what it is for, and names what does not
// work. Trouble of the read model is told and does not make it unready: commands
// are taken all the same, and whoever reads sees the answers' age.
func (p *platform) readyz(w http.ResponseWriter, _ *http.Request) {
	answer, status := map[string]any{"ready": true}, http.StatusOK
	if why := p.degraded(); len(why) > 0 {
		answer["degraded"] = why
	}
	if why := p.notReady(); len(why) > 0 {
		answer["ready"], answer["because"], status = false, why, http.StatusServiceUnavailable
	}
	edge.JSON(w, status, answer)
}

// moreHosts is where names are added to those that this process goes by.
const moreHosts = "http_hosts in the configuration"

// names are those that this process goes by: the one that it was told to listen
// on, the one that other units ask, the machine's, and what the configuration adds.
func names(c *config.Config) (out []string) {
	listens, _, _ := net.SplitHostPort(c.HTTP) // the configuration was checked
	machine, _ := os.Hostname()                // without one nobody can ask by it
	for _, name := range append([]string{listens, c.Consul.Advertise, machine}, c.HTTPHosts...) {
		if name != "" {
			out = append(out, edge.HostName(name))
		}
	}
	return out
}
