package platform

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/telemetry"
)

// probeWait is how long a probe may wait for its answer.
const probeWait = 30 * time.Second

// prober does what a customer would do, wherever the gateway is, so that it is known
// whether the business works while nobody comes.
type prober struct {
	p       *platform
	client  http.Client
	seconds prometheus.Observer
}

func (p *platform) startProber(ctx context.Context) error {
	p.probes = func() {}
	if !p.units.prober {
		return nil
	}
	i := telemetry.NewInstruments(p.metrics)
	results, seconds := i.Counter(telemetry.Probes), i.Histogram(telemetry.ProbeSeconds)
	if err := i.Err(); err != nil {
		return err
	}
	for _, r := range []string{"done", "undone", unanswered, "refused"} {
		results.WithLabelValues(r)
	}
	probe := &prober{p: p, client: http.Client{Timeout: probeWait}, seconds: seconds.WithLabelValues()}
	p.background(ctx, ProberUnit, func(ctx context.Context) error {
		probe.awaitGateway(ctx)
		tick := time.NewTicker(p.Probe)
		defer tick.Stop()
		for {
			result := probe.visit(ctx)
			if ctx.Err() != nil {
				return nil // it was cut off: that says nothing
			}
			results.WithLabelValues(result).Inc()
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	})
	p.probes = p.wait[len(p.wait)-1]
	return nil
}

// awaitGateway waits at the start until there is a gateway to ask, or should be.
func (x *prober) awaitGateway(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if found, err := x.p.registry.Resolve(ctx, GatewayUnit); err == nil && len(found) > 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// visit does what the business's probe does, and waits for the saga's answer.
func (x *prober) visit(ctx context.Context) string {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, probeWait)
	defer cancel()
	// Whoever could guess the name would take it first; what all probes used could be
	// made to run out.
	name := "probe-" + strings.ToLower(rand.Text())
	act := x.p.Business.Customer.Probe(name)
	token, err := x.send(ctx, name, act)
	switch {
	case ctx.Err() != nil:
		return unanswered
	case err != nil:
		x.p.Log.Warn("the prober was refused", "error", err)
		return "refused"
	}
	return x.await(ctx, began, act.Body.Key().String(), token)
}

// send sends a command to a gateway that the registry knows.
func (x *prober) send(ctx context.Context, name string, act business.Act) (token string, err error) {
	command, _ := x.p.Business.Command(act.Command) // the business was checked
	path, body, err := command.Request(act.Body)
	if err != nil {
		return "", err
	}
	status, header, answer, err := x.ask(ctx, command.Verb(), path, http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {name}}, body)
	if err == nil && status >= 300 {
		err = fmt.Errorf("%s answered %d: %s", act.Command, status, answer)
	}
	return header.Get(gateway.TokenHeader), err
}

// await asks for the saga until it is answered. A command that joins no saga begins that
// of its key.
func (x *prober) await(ctx context.Context, began time.Time, key, token string) string {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var s gateway.Saga
		status, _, answer, err := x.ask(ctx, http.MethodGet, "/v1/sagas/"+url.PathEscape(key), http.Header{gateway.TokenHeader: {token}}, nil)
		if err == nil && status == http.StatusOK && json.Unmarshal(answer, &s) == nil {
			if result := x.answered(s); result != "" {
				if result == "done" {
					x.seconds.Observe(time.Since(began).Seconds())
				}
				return result
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return unanswered
		}
	}
}

// answered is how the saga's first answer has it; empty: there is none yet.
func (x *prober) answered(s gateway.Saga) string {
	saga, _ := x.p.Business.Saga(x.p.Business.Customer.Begins)
	is := func(events []streams.Event, typ string) bool {
		return slices.ContainsFunc(events, func(e streams.Event) bool { return x.p.topology.Name(e) == typ })
	}
	for _, e := range s.Events {
		if is(saga.Answers, e.Type) {
			if is(saga.Undo, e.Type) {
				return "undone"
			}
			return "done"
		}
	}
	return ""
}

const unanswered = "unanswered"

// ask asks a gateway, another one each time if there are several.
func (x *prober) ask(ctx context.Context, method, path string, header http.Header, body []byte) (int, http.Header, []byte, error) {
	gateways, err := x.p.registry.Resolve(ctx, GatewayUnit)
	if err == nil && len(gateways) == 0 {
		err = errors.New("no gateway is registered and healthy")
	}
	if err != nil {
		return 0, nil, nil, err
	}
	at := gateways[time.Now().UnixNano()%int64(len(gateways))].Address
	req, err := http.NewRequestWithContext(ctx, method, "http://"+at+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, nil, err
	}
	req.Header = header
	req.Header.Set("User-Agent", telemetry.ProberAgent)
	res, err := x.client.Do(req)
	if err != nil {
		return 0, nil, nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 1<<16))
	return res.StatusCode, res.Header, answer, err
}
