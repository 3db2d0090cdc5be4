package platform

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// shoppersAtOnce bounds the shoppers that wait for an answer.
const shoppersAtOnce = 64

// startShoppers places orders over HTTP at the asked rate, from the intended
// start of each: a slow platform gets no fewer of them, up to the bound.
func (p *platform) startShoppers(ctx context.Context) error {
	p.shoppers = func() {}
	if p.Rate <= 0 {
		return nil
	}
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: shoppersAtOnce}}
	p.background(ctx, "shoppers", func(ctx context.Context) error {
		defer client.CloseIdleConnections()
		slots := make(chan struct{}, shoppersAtOnce)
		var failed atomic.Int64
		tick := time.NewTicker(time.Duration(float64(time.Second) / p.Rate))
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				for range cap(slots) { // those on their way finish
					slots <- struct{}{}
				}
				return nil
			}
			if p.faults != nil && p.faults.silent.Load() == 1 {
				continue
			}
			select {
			case slots <- struct{}{}:
			case <-ctx.Done():
				continue
			}
			go func() {
				defer func() { <-slots }()
				if err := visit(client, p.Config.HTTP); err != nil && failed.Add(1)%100 == 1 {
					p.Log.Warn("a shopper got no order", "error", err, "failed", failed.Load())
				}
			}()
		}
	})
	p.shoppers = p.wait[len(p.wait)-1]
	return nil
}

// visit places one order of one to five lines. Few articles are bought often
// and many seldom; one in fifty customers changes their mind.
func visit(client *http.Client, addr string) error {
	type money struct {
		Minor    int64  `json:"minor"`
		Currency string `json:"currency"`
	}
	type line struct {
		SKU      string `json:"sku"`
		Quantity int64  `json:"quantity"`
		Unit     money  `json:"unit"`
	}
	customer := rand.N(500)
	id := fmt.Sprintf("o-%08x", rand.Uint32())
	lines := make([]line, 1+rand.N(5))
	for i := range lines {
		n := rand.N(1 + rand.N(200))
		lines[i] = line{fmt.Sprintf("sku-%03d", n), 1 + rand.N[int64](4), money{int64(199 + n*10), "GBP"}}
	}
	body, err := json.Marshal(map[string]any{
		"order": id, "customer": fmt.Sprintf("c-%03d", customer), "email": fmt.Sprintf("c-%03d@example.org", customer), "card": fmt.Sprintf("tok-%03d", customer),
		"ship_to": map[string]string{"name": "A Shopper", "street": "1 High Street", "city": "Leeds", "postcode": "LS1 1AA", "country": "GB"}, "lines": lines})
	if err != nil {
		return err
	}
	if err := post(context.Background(), client, "http://"+addr+"/v1/orders", id, body); err != nil {
		return err
	}
	if rand.N(50) == 0 {
		time.Sleep(rand.N(50 * time.Millisecond))
		return post(context.Background(), client, "http://"+addr+"/v1/orders/"+id+"/cancel", id, []byte(`{"reason":"changed my mind"}`))
	}
	return nil
}

func post(ctx context.Context, client *http.Client, url, key string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 4096))
	if err != nil {
		return err
	}
	if res.StatusCode >= 300 && res.StatusCode != http.StatusConflict {
		return fmt.Errorf("%s answered %d: %s", url, res.StatusCode, answer)
	}
	return nil
}
