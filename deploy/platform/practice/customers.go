package practice

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/weirstream/weir/streams/business"
)

// customersAtOnce bounds the customers that wait for an answer.
const customersAtOnce = 64

// Customers come by themselves, at a rate.
type Customers struct {
	Business *business.Business
	HTTP     string  // address of the interface
	Rate     float64 // a second
	Faults   *Faults // that may keep them away; nil: none
	Log      *slog.Logger
}

// Run has customers come until ctx ends, from the intended start of each: a slow
// platform gets no fewer of them, up to the bound. It returns when the last was
// answered.
func (c *Customers) Run(ctx context.Context) error {
	client := &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: customersAtOnce}}
	defer client.CloseIdleConnections()
	slots := make(chan struct{}, customersAtOnce)
	var failed atomic.Int64
	tick := time.NewTicker(time.Duration(float64(time.Second) / c.Rate))
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
		if c.Faults != nil && c.Faults.silent.Load() == 1 {
			continue
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			continue
		}
		go func() {
			defer func() { <-slots }()
			if err := c.visit(client); err != nil && failed.Add(1)%100 == 1 {
				c.Log.Warn("a customer was refused", "error", err, "failed", failed.Load())
			}
		}()
	}
}

// visit is one customer's, who does the next thing when the last was answered.
func (c *Customers) visit(client *http.Client) error {
	name := fmt.Sprintf("v-%08x", rand.Uint32())
	for _, act := range c.Business.Customer.Visit(name, rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))) {
		time.Sleep(act.After)
		command, _ := c.Business.Command(act.Command) // the business was checked
		path, body, err := command.Request(act.Body)
		if err == nil {
			err = ask(context.Background(), client, command.Verb(), "http://"+c.HTTP+path, name, body)
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
	no := res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusNotFound || res.StatusCode == http.StatusConflict // the business's own
	if res.StatusCode >= 300 && !no {
		return fmt.Errorf("%s answered %d: %s", url, res.StatusCode, answer)
	}
	return nil
}
