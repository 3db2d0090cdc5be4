package bench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
)

const (
	placeRate = 100 // orders per second
	placeHops = 7   // commits in a row from the request to order.confirmed
)

// up runs weir dev in this process on a directory, until down is called or the
// bench ends.
func up(b *testing.B, data string) (httpAddr, kafka string, down func()) {
	b.Helper()
	platform.Tune()
	o := platform.Options{Business: shop.Business, Units: []string{platform.AllUnits}, Kafka: "127.0.0.1:0", Config: config.Default()}
	o.Config.HTTP, o.Config.Data, o.Config.Partitions = "127.0.0.1:0", data, 2
	type addrs struct{ http, kafka string }
	ready, ended := make(chan addrs, 1), make(chan error, 1)
	o.Ready = func(h, k string) { ready <- addrs{h, k} }
	ctx, stop := context.WithCancel(context.Background())
	go func() { ended <- platform.Run(ctx, o) }()
	down = sync.OnceFunc(func() {
		stop()
		if err := <-ended; err != nil {
			b.Error(err)
		}
	})
	b.Cleanup(down)
	select {
	case a := <-ready:
		return a.http, a.kafka, down
	case err := <-ended:
		b.Fatal(err)
		return "", "", nil
	}
}

func quantiles(d []time.Duration) (p50, p99 time.Duration) {
	slices.Sort(d)
	return d[len(d)/2], d[min(len(d)*99/100, len(d)-1)]
}

func report(b *testing.B, d []time.Duration) {
	p50, p99 := quantiles(d)
	b.ReportMetric(float64(p50.Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(p99.Microseconds())/1000, "p99-ms")
	b.ReportMetric(0, "ns/op")
}

// confirmations notes when order.confirmed reached a consumer of the log.
func confirmations(ctx context.Context, b *testing.B, kafka string, at func(order string, t time.Time)) {
	cl, err := kgo.NewClient(kgo.SeedBrokers(kafka), kgo.ConsumeTopics("order.order"), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()), kgo.FetchMaxWait(time.Second))
	if err != nil {
		b.Error(err)
		return
	}
	defer cl.Close()
	for {
		f := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			return
		}
		now := time.Now()
		f.EachRecord(func(r *kgo.Record) {
			if e, err := streams.ReadEnvelope(r); err == nil && e.Type == "order.confirmed" {
				at(e.Key, now)
			}
		})
	}
}

// BenchmarkPlaceToConfirmed is the time from the moment that an order was meant
// to be sent until its confirmation reaches a consumer: over HTTP, through all
// services, on disk at every hop. Open loop: a late answer delays nobody else.
func BenchmarkPlaceToConfirmed(b *testing.B) {
	addr, kafka, _ := up(b, b.TempDir())
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var mu sync.Mutex
	meant, took := map[string]time.Time{}, []time.Duration{}
	all := make(chan struct{})
	go confirmations(ctx, b, kafka, func(order string, t time.Time) {
		mu.Lock()
		defer mu.Unlock()
		if m, ok := meant[order]; ok {
			delete(meant, order)
			if took = append(took, t.Sub(m)); len(took) == b.N {
				close(all)
			}
		}
	})
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 256}}
	warm := 2 * placeRate // orders before the clock runs: caches, connections, compiled code
	began := time.Now().Add(100 * time.Millisecond)
	for n := range warm + b.N {
		at := began.Add(time.Duration(n) * time.Second / placeRate)
		time.Sleep(time.Until(at))
		id := fmt.Sprintf("bench-%d", n)
		if n >= warm {
			mu.Lock()
			meant[id] = at
			mu.Unlock()
		}
		go place(b, client, addr, id, n)
	}
	select {
	case <-all:
	case <-time.After(time.Minute):
		mu.Lock()
		b.Errorf("%d of %d orders were not confirmed within a minute", len(meant), b.N)
		mu.Unlock()
	}
	mu.Lock()
	defer mu.Unlock()
	report(b, took)
}

func place(b *testing.B, client *http.Client, addr, id string, n int) {
	body := fmt.Sprintf(`{"order":%q,"customer":"c-%d","email":"c@example.org","card":"tok-1",`+
		`"ship_to":{"name":"A","street":"1 High Street","city":"Leeds","postcode":"LS1 1AA","country":"GB"},"lines":[`+
		`{"sku":"sku-%d","quantity":1,"unit":{"minor":250,"currency":"GBP"}},{"sku":"sku-%d","quantity":2,"unit":{"minor":999,"currency":"GBP"}},{"sku":"sku-%d","quantity":3,"unit":{"minor":125,"currency":"GBP"}}]}`,
		id, n%97, n%200, 200+n%211, 500+n%223)
	req, err := http.NewRequest(http.MethodPost, "http://"+addr+"/v1/orders", bytes.NewReader([]byte(body)))
	if err != nil {
		b.Error(err)
		return
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", id)
	res, err := client.Do(req)
	if err != nil {
		b.Error(err)
		return
	}
	defer res.Body.Close()
	if answer, err := io.ReadAll(res.Body); err != nil || res.StatusCode != http.StatusCreated {
		b.Errorf("order %s: %d %s %v", id, res.StatusCode, answer, err)
	}
}

// BenchmarkWarmStart is the time from the start of weir dev on the data of an
// earlier run until the first new order is confirmed.
func BenchmarkWarmStart(b *testing.B) {
	data := b.TempDir()
	var took []time.Duration
	for n := range b.N + 1 {
		began := time.Now()
		addr, kafka, down := up(b, data)
		at := confirmOne(b, addr, kafka, n)
		if n > 0 { // the first starts cold, and leaves what the others find
			took = append(took, at.Sub(began))
		}
		down()
	}
	report(b, took)
}

// confirmOne places orders until one is confirmed, and returns when that was:
// the consumer may begin after the confirmation of the first.
func confirmOne(b *testing.B, addr, kafka string, run int) time.Time {
	ctx, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	came := make(chan time.Time, 1)
	go confirmations(ctx, b, kafka, func(_ string, t time.Time) {
		select {
		case came <- t:
		default:
		}
	})
	for n := run * 1000; ; n++ {
		place(b, http.DefaultClient, addr, fmt.Sprintf("warm-%d", n), n)
		select {
		case t := <-came:
			return t
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			b.Fatal("no order was confirmed within a minute")
		}
	}
}

// BenchmarkFsyncChain is what the disk alone takes for as many hops: a page
// written and synced to another file each, one after the other, at the same rate.
func BenchmarkFsyncChain(b *testing.B) {
	var files []*os.File
	for n := range placeHops {
		f, err := os.Create(filepath.Join(b.TempDir(), fmt.Sprint("hop-", n)))
		if err != nil {
			b.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	page := make([]byte, 4096)
	began := time.Now()
	for n := range b.N {
		at := began.Add(time.Duration(n) * time.Second / placeRate)
		time.Sleep(time.Until(at))
		wg.Go(func() {
			for _, f := range files {
				if _, err := f.Write(page); err != nil {
					b.Error(err)
				}
				if err := f.Sync(); err != nil {
					b.Error(err)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			took = append(took, time.Since(at))
		})
	}
	wg.Wait()
	report(b, took)
}
