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
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/services/gateway"
	"github.com/weirstream/weir/streams/telemetry"
)

// syntheticWait is how long a synthetic order may take to be confirmed.
const syntheticWait = 30 * time.Second

// prober places orders as a customer would, wherever the gateway is, so that it
// is known whether orders work while nobody buys.
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
	results, seconds := i.Counter(telemetry.SyntheticOrders), i.Histogram(telemetry.SyntheticSeconds)
	if err := i.Err(); err != nil {
		return err
	}
	for _, r := range []string{"confirmed", "cancelled", "unanswered", "refused"} {
		results.WithLabelValues(r)
	}
	probe := &prober{p: p, client: http.Client{Timeout: syntheticWait}, seconds: seconds.WithLabelValues()}
	p.background(ctx, ProberUnit, func(ctx context.Context) error {
		probe.awaitGateway(ctx)
		tick := time.NewTicker(p.Synthetic)
		defer tick.Stop()
		for {
			result := probe.order(ctx)
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
	ctx, cancel := context.WithTimeout(ctx, syntheticWait)
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

// order places an order and waits until it is confirmed.
func (x *prober) order(ctx context.Context) string {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, syntheticWait)
	defer cancel()
	// Whoever could guess the name would take it first; what all probes bought could be
	// made to run out.
	id := "synthetic-" + strings.ToLower(rand.Text())
	body := fmt.Sprintf(`{"order":%[1]q,"customer":"synthetic","email":"synthetic@example.org","card":"tok-synthetic",`+
		`"ship_to":{"name":"Synthetic","street":"1 High Street","city":"Leeds","postcode":"LS1 1AA","country":"GB"},`+
		`"lines":[{"sku":%[1]q,"quantity":1,"unit":{"minor":1,"currency":"GBP"}}]}`, id)
	token, err := x.place(ctx, id, body)
	switch {
	case ctx.Err() != nil:
		return "unanswered"
	case err != nil:
		x.p.Log.Warn("an order of the prober was refused", "error", err)
		return "refused"
	}
	return x.await(ctx, began, id, token)
}

// place sends the order to a gateway that the registry knows.
func (x *prober) place(ctx context.Context, id, body string) (token string, err error) {
	status, header, answer, err := x.ask(ctx, http.MethodPost, "/v1/orders", http.Header{"Content-Type": {"application/json"}, "Idempotency-Key": {id}}, body)
	if err == nil && status != http.StatusCreated {
		err = fmt.Errorf("placing an order answered %d: %s", status, answer)
	}
	return header.Get(gateway.TokenHeader), err
}

// await asks for the order until it is confirmed.
func (x *prober) await(ctx context.Context, began time.Time, id, token string) string {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var o struct {
			ConfirmedAt time.Time `json:"confirmed_at"`
			CancelledAt time.Time `json:"cancelled_at"`
		}
		status, _, answer, err := x.ask(ctx, http.MethodGet, "/v1/orders/"+id, http.Header{gateway.TokenHeader: {token}}, "")
		if err == nil && status == http.StatusOK && json.Unmarshal(answer, &o) == nil {
			switch {
			case !o.ConfirmedAt.IsZero():
				x.seconds.Observe(time.Since(began).Seconds())
				return "confirmed"
			case !o.CancelledAt.IsZero():
				return "cancelled"
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "unanswered"
		}
	}
}

// ask asks a gateway, another one each time if there are several.
func (x *prober) ask(ctx context.Context, method, path string, header http.Header, body string) (int, http.Header, []byte, error) {
	gateways, err := x.p.registry.Resolve(ctx, GatewayUnit)
	if err == nil && len(gateways) == 0 {
		err = errors.New("no gateway is registered and healthy")
	}
	if err != nil {
		return 0, nil, nil, err
	}
	at := gateways[time.Now().UnixNano()%int64(len(gateways))].Address
	req, err := http.NewRequestWithContext(ctx, method, "http://"+at+path, bytes.NewReader([]byte(body)))
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
