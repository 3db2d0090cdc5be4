package platform

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"
)

// customersAtOnce bounds the customers that wait for an answer.
const customersAtOnce = 64

// startCustomers has customers come at the asked rate, from the intended start of
// each: a slow platform gets no fewer of them, up to the bound.
func (p *platform) startCustomers(ctx context.Context) error {
	p.customers = func() {}
	if p.Rate <= 0 || p.business.Customer == nil {
		return nil
	}
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: customersAtOnce}}
	p.background(ctx, "customers", func(ctx context.Context) error {
		defer client.CloseIdleConnections()
		slots := make(chan struct{}, customersAtOnce)
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
				if err := p.visit(client); err != nil && failed.Add(1)%100 == 1 {
					p.Log.Warn("a customer was refused", "error", err, "failed", failed.Load())
				}
			}()
		}
	})
	p.customers = p.wait[len(p.wait)-1]
	return nil
}

// visit is one customer's, who does the next thing when the last was answered.
func (p *platform) visit(client *http.Client) error {
	name := fmt.Sprintf("v-%08x", rand.Uint32())
	for _, act := range p.business.Customer.Visit(name, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))) {
		time.Sleep(act.After)
		command, _ := p.business.Command(act.Command) // the business was checked
		path, body, err := command.Request(act.Body)
		if err == nil {
			err = ask(context.Background(), client, command.Verb(), "http://"+p.Config.HTTP+path, name, body)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func ask(ctx context.Context, client *http.Client, method, url, key string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
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
