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
	"testing"
	"time"

	"github.com/weirstream/weir/services/event"
)

// How the load is made.
const (
	clients   = 8
	skus      = 12  // few, so that orders fight over the same shelves
	delivered = 100 // units of each SKU: too few for all orders
	pause     = 120 // ms between two orders of a client, on average
	perKill   = 45  // orders at most: the platform trims its log beyond 2,000 records per partition
)

// load is the customers. Each asks until it is answered, with the same key.
type load struct {
	t    testing.TB
	base string

	mu           sync.Mutex
	asked        int
	acknowledged []event.OrderID
	refused      map[string]int // by what it was answered
	repeated     int            // requests sent again after no answer
	done         chan struct{}  // closed when all clients are finished
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
	for n := 0; ; n++ {
		status, answer := call(http.MethodPost, l.base+path, key, body)
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

// deliver fills the shelves, each delivery told twice.
func (l *load) deliver(ctx context.Context) {
	for n := range 2 * skus {
		sku := fmt.Sprintf("hot-%02d", n%skus)
		body, err := json.Marshal(map[string]any{"specversion": "1.0", "id": "delivery-" + sku, "source": "/door", "type": "stock.received",
			"data": event.StockReceived{SKU: event.SKU(sku), Quantity: int64(delivered * *kills)}})
		check(l.t, err)
		req := func() (int, []byte) { return post(l.base+"/v1/events", "application/cloudevents+json", body) }
		for status, _ := req(); status != http.StatusAccepted; status, _ = req() {
			if ctx.Err() != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func post(url, contentType string, body []byte) (int, []byte) {
	res, err := client.Post(url, contentType, bytes.NewReader(body))
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, nil
	}
	return res.StatusCode, b
}

// run is all clients, until stop. What they have begun they finish before end.
func (l *load) run(stop, end context.Context) {
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			for n := 0; stop.Err() == nil && l.more(); n++ {
				l.shop(end, &wg, fmt.Sprintf("o-%d-%d", c, n))
				select {
				case <-time.After(rand.N(2 * pause * time.Millisecond)):
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
	return l.asked <= perKill**kills
}

// shop places one order. One in eight is asked twice at once, one in six is
// cancelled at a random moment, also before it is answered.
func (l *load) shop(end context.Context, wg *sync.WaitGroup, id string) {
	body := orderBody(id)
	if rand.N(8) == 0 {
		wg.Go(func() { l.place(end, id, body) })
	}
	if rand.N(6) == 0 {
		wg.Go(func() {
			time.Sleep(rand.N(1500 * time.Millisecond))
			l.count(l.insist(end, "/v1/orders/"+id+"/cancel", "cancel-"+id, []byte(`{"reason":"changed my mind"}`)))
		})
	}
	l.place(end, id, body)
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
	b, err := json.Marshal(map[string]any{"order": id, "customer": "c", "email": id + "@example.org", "card": "tok-" + id, "lines": lines,
		"ship_to": event.Address{Name: "N", Street: "S", City: "Leeds", Postcode: "LS1", Country: "GB"}})
	if err != nil {
		panic(err) // no field can cause it
	}
	return b
}
