package platform

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/streams/telemetry"
)

// syntheticWait is how long a synthetic order may take to be confirmed.
const syntheticWait = 30 * time.Second

// startSynthetic has the gateway place an order now and then as a customer
// would, so that it is known whether orders work while nobody buys.
func (p *platform) startSynthetic(ctx context.Context) error {
	if p.Synthetic <= 0 || !p.units.gateway {
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
	p.background(ctx, "synthetic orders", func(ctx context.Context) error {
		tick := time.NewTicker(p.Synthetic)
		defer tick.Stop()
		for {
			result := p.tryOrder(ctx, seconds.WithLabelValues())
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
	return nil
}

// tryOrder places an order and waits until it is confirmed.
func (p *platform) tryOrder(ctx context.Context, seconds prometheus.Observer) string {
	began := time.Now()
	ctx, cancel := context.WithTimeout(ctx, syntheticWait)
	defer cancel()
	id := fmt.Sprintf("synthetic-%x", began.UnixMilli())
	body := fmt.Sprintf(`{"order":%q,"customer":"synthetic","email":"synthetic@example.org","card":"tok-synthetic",`+
		`"ship_to":{"name":"Synthetic","street":"1 High Street","city":"Leeds","postcode":"LS1 1AA","country":"GB"},`+
		`"lines":[{"sku":"synthetic","quantity":1,"unit":{"minor":1,"currency":"GBP"}}]}`, id)
	if err := post(ctx, http.DefaultClient, "http://"+p.Config.HTTP+"/v1/orders", id, []byte(body)); err != nil {
		if ctx.Err() != nil {
			return "unanswered"
		}
		p.Log.Warn("a synthetic order was refused", "error", err)
		return "refused"
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		o, err := p.reads.Order(ctx, id)
		switch {
		case err == nil && !o.ConfirmedAt.IsZero():
			seconds.Observe(o.ConfirmedAt.Sub(began).Seconds())
			return "confirmed"
		case err == nil && !o.CancelledAt.IsZero():
			return "cancelled"
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "unanswered"
		}
	}
}
