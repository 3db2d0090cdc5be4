package kill

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

// How the load is made.
const (
	clients = 8
	skus    = 12 // few, so that orders fight over the same shelves
	scarce  = 3  // of them there is too little for all orders
)

// load is the customers. Each asks until it is answered, with the same key.
type load struct {
	t     testing.TB
	bases []string      // URLs; who is not answered asks the next one
	pause time.Duration // between two orders of a client, on average
	most  int           // orders
	stock int64         // units delivered of each SKU; a twentieth of the scarce ones
	twice atomic.Int64  // one request in so many is made twice at once

	mu           sync.Mutex
	asked        int
	acknowledged []streams.Key
	refused      map[string]int // by what it was answered
	repeated     int            // requests sent again after no answer
	doubled      int            // requests made twice at once

	stop context.CancelFunc // no new orders
	done chan struct{}      // closed when all clients are finished
}

// start sends the customers, who shop until stop, and finish what they began
// until the test ends.
func (l *load) start(t *testing.T) {
	stop, cancel := context.WithCancel(t.Context())
	l.stop, l.done = cancel, make(chan struct{})
	go func() {
		defer close(l.done)
		l.deliver(t.Context())
		l.run(stop, t.Context())
	}()
	t.Cleanup(func() { cancel(); <-l.done })
}

var client = &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: clients, IdleConnTimeout: time.Second}}

// call makes one request; status 0 says that there was no answer.
func call(method, url, key string, body []byte) (int, []byte) {
	req, err := http.NewRequest(method, url, bytes.NewReader(body))
	if err != nil {
		return 0, []byte(err.Error())
	}
	req.Header.Set("Content-Type", "application/json")
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, []byte(err.Error())
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, []byte(err.Error())
	}
	return res.StatusCode, b
}

// insist sends a request until its answer is definite.
func (l *load) insist(ctx context.Context, path, key string, body []byte) (int, []byte) {
	for n, first := 0, rand.N(len(l.bases)); ; n++ {
		status, answer := call(http.MethodPost, l.bases[(first+n)%len(l.bases)]+path, key, body)
		if status != 0 && status < 500 {
			return status, answer
		}
		if n == 0 {
			l.mu.Lock()
			l.repeated++
			l.mu.Unlock()
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return 0, nil
		}
	}
}

// deliver fills the shelves, each delivery told twice at once.
func (l *load) deliver(ctx context.Context) {
	var wg sync.WaitGroup
	for n := range skus {
		sku, quantity := fmt.Sprintf("hot-%02d", n), l.stock
		if n < scarce {
			quantity /= 20
		}
		body, err := json.Marshal(map[string]any{"specversion": "1.0", "id": "delivery-" + sku, "source": "/door", "type": "stock.received",
			"data": event.StockReceived{SKU: event.SKU(sku), Quantity: quantity}})
		check(l.t, err)
		for range 2 {
			wg.Go(func() { l.tell(ctx, body) })
		}
	}
	wg.Wait()
}

// tell posts an event until it is taken.
func (l *load) tell(ctx context.Context, body []byte) {
	for n := rand.N(len(l.bases)); ctx.Err() == nil; n++ {
		if post(l.bases[n%len(l.bases)]+"/v1/events", "application/cloudevents+json", body) == http.StatusAccepted {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// post makes one request; status 0 says that there was no answer.
func post(url, contentType string, body []byte) int {
	res, err := client.Post(url, contentType, bytes.NewReader(body))
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, res.Body) // only the status counts
	return res.StatusCode
}

// run is all clients, until stop. What they have begun they finish before end.
func (l *load) run(stop, end context.Context) {
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for n := 0; stop.Err() == nil && l.more(); n++ {
				l.shop(end, &wg, fmt.Sprintf("o-%d-%d", c, n))
				select {
				case <-time.After(rand.N(2 * l.pause)):
				case <-stop.Done():
				}
			}
		})
	}
	wg.Wait()
}

func (l *load) more() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	return l.asked <= l.most
}

// shop places one order. One in six is cancelled at a random moment, also
// before it is answered.
func (l *load) shop(end context.Context, wg *sync.WaitGroup, id string) {
	body := orderBody(id)
	if rand.N(6) == 0 {
		cancel := func() {
			l.count(l.insist(end, "/v1/orders/"+id+"/cancel", "cancel-"+id, []byte(`{"reason":"changed my mind"}`)))
		}
		wg.Go(func() {
			time.Sleep(rand.N(1500 * time.Millisecond))
			l.perhapsTwice(wg, cancel)
		})
	}
	l.perhapsTwice(wg, func() { l.place(end, id, body) })
}

func (l *load) perhapsTwice(wg *sync.WaitGroup, ask func()) {
	if rand.N(l.twice.Load()) == 0 {
		l.mu.Lock()
		l.doubled++
		l.mu.Unlock()
		wg.Go(ask)
	}
	ask()
}

func (l *load) place(end context.Context, id string, body []byte) {
	status, answer := l.insist(end, "/v1/orders", id, body)
	if status == http.StatusCreated {
		l.mu.Lock()
		l.acknowledged = append(l.acknowledged, event.OrderID(id))
		l.mu.Unlock()
	} else if status != 0 {
		l.t.Errorf("order %s was answered %d: %s", id, status, answer)
	}
}

func (l *load) count(status int, answer []byte) {
	var p struct {
		Type string `json:"type"`
	}
	if status != http.StatusOK && json.Unmarshal(answer, &p) != nil {
		p.Type = string(answer)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.refused[fmt.Sprintf("%d %s", status, p.Type)]++
}

func orderBody(id string) []byte {
	lines := make([]event.Line, 1+rand.N(3))
	for i := range lines {
		n := rand.N(skus)
		lines[i] = event.Line{SKU: event.SKU(fmt.Sprintf("hot-%02d", n)), Quantity: 1 + rand.N[int64](4), Unit: event.Money{Minor: int64(199 + 10*n), Currency: "GBP"}}
	}
	return orderOf(id, lines)
}

func orderOf(id string, lines []event.Line) []byte {
	b, err := json.Marshal(map[string]any{"order": id, "customer": "c", "email": id + "@example.org", "card": "tok-" + id, "lines": lines,
		"ship_to": event.Address{Name: "N", Street: "S", City: "Leeds", Postcode: "LS1", Country: "GB"}})
	if err != nil {
		panic(err) // no field can cause it
	}
	return b
}
