//go:build !real

package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/telemetry"
)

// What passes is tried again; what does not waits for a person, and neither ends
// anything else.
func TestAUnitStandsAndFallsAlone(t *testing.T) {
	p := &platform{Options: Options{Log: slog.New(slog.DiscardHandler)}, haltedUnits: telemetry.NewInstruments(prometheus.NewRegistry()).Gauge(telemetry.UnitHalted)}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var tries atomic.Int32
	u, ended := p.newUnit("u"), make(chan struct{})
	go func() {
		defer close(ended)
		p.keep(ctx, u, func(ctx context.Context) error {
			switch tries.Add(1) {
			case 1, 2:
				return fmt.Errorf("the server: %w", &net.OpError{Op: "dial", Err: errors.New("connection refused")})
			case 3:
				return errors.New("this is for a person")
			}
			<-ctx.Done()
			return errors.New("cut off")
		})
	}()
	until := func(state string, n int32) {
		t.Helper()
		for end := time.Now().Add(10 * time.Second); u.get().State != state || tries.Load() != n; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("after %d tries the unit is %+v, want it to be %s after %d", tries.Load(), u.get(), state, n)
			}
		}
	}
	until(unitWaits, 1)
	until(unitHalted, 3)
	if why := u.trouble(); !strings.Contains(why, "this is for a person") || !strings.Contains(why, `weir unit restart "u"`) {
		t.Errorf("it says %q", why)
	}
	time.Sleep(3 * firstTry)
	until(unitHalted, 3) // it waits for a person
	u.again <- struct{}{}
	until(unitRuns, 4)
	stop()
	<-ended
}

// alone is a platform on a directory, everything embedded.
type alone struct {
	t          *testing.T
	url, kafka string
	stop       func()
}

func startAlone(t *testing.T, data string) *alone {
	t.Helper()
	cfg := config.Default()
	cfg.HTTP, cfg.Data, cfg.Partitions = "127.0.0.1:0", data, 2
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan [2]string, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{Business: shop.Business, Config: cfg, Units: []string{AllUnits}, Kafka: "127.0.0.1:0", Keep: 1, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
			Ready: func(http, kafka string) { ready <- [2]string{http, kafka} }})
	}()
	a := &alone{t: t}
	stopped := false
	a.stop = func() {
		cancel()
		if !stopped {
			stopped = true
			if err := <-ended; err != nil {
				t.Errorf("the run ended with %v", err)
			}
		}
	}
	select {
	case at := <-ready:
		a.url, a.kafka = "http://"+at[0], at[1]
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(time.Minute):
		t.Fatal("it is not up after a minute")
	}
	t.Cleanup(a.stop)
	return a
}

// ask answers with a status, the header of the age, and the body.
func (a *alone) ask(method, path, body string) (status int, age, answer string) {
	a.t.Helper()
	req, err := http.NewRequestWithContext(a.t.Context(), method, a.url+path, strings.NewReader(body))
	if err != nil {
		a.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		a.t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return res.StatusCode, res.Header.Get("Weir-Read-Model-Age"), string(b)
}

func (a *alone) place(id string) {
	a.t.Helper()
	body := fmt.Sprintf(`{"order":%q,"customer":"ada","lines":[{"sku":"mto","quantity":1,"unit":{"minor":100,"currency":"GBP"}}]}`, id)
	if status, _, answer := a.ask(http.MethodPost, "/v1/orders", body); status != http.StatusCreated {
		a.t.Errorf("an order is answered with %d: %s", status, answer)
	}
}

func (a *alone) until(what, path string, ok func(status int, age, answer string) bool) {
	a.t.Helper()
	var status int
	var age, answer string
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if status, age, answer = a.ask(http.MethodGet, path, ""); ok(status, age, answer) {
			return
		}
	}
	a.t.Errorf("not %s: %s answers %d, age %q: %.600s", what, path, status, age, answer)
}

func closed(_ int, _, answer string) bool { return strings.Contains(answer, `"closed":true`) }

// A topic that only the read model reads is made anew under a running platform:
// the read model is halted, by name, and everything else works. Removed, it is
// built again, though the log was trimmed.
func TestAHaltedReadModel(t *testing.T) {
	data := t.TempDir()
	a := startAlone(t, data)
	a.place("o-1")
	a.until("the end of an order", "/v1/orders/o-1", closed)
	a.until("the age of the answers", "/v1/orders/o-1", func(_ int, age, _ string) bool { return age == "0" })
	a.until("trimmed to the last record of a partition", "/metrics", func(int, string, string) bool { return a.firstOffset("order.order") > 0 })

	_, _, history := a.ask(http.MethodGet, "/v1/orders/o-1/history", "")

	adm := kadm.NewClient(a.client())
	if _, err := adm.DeleteTopic(t.Context(), "shelf.sku"); err != nil {
		t.Fatal(err)
	}
	forever := "-1"
	if _, err := adm.CreateTopic(t.Context(), 2, 1, map[string]*string{"retention.ms": &forever}, "shelf.sku"); err != nil {
		t.Fatal(err)
	}
	a.until("halted by name", "/readyz", func(status int, _, answer string) bool {
		return status == http.StatusOK && strings.Contains(answer, "projection is halted: topic shelf.sku was deleted and made again") &&
			!strings.Contains(answer, "weir unit restart") // which is of no use: the process has to be stopped
	})
	a.until("an alarm", "/metrics", func(_ int, _, answer string) bool {
		return strings.Contains(answer, telemetry.UnitHalted+`{unit="projection"} 1`)
	})
	a.until("an answer that says that its age is not known", "/v1/orders/o-1", func(status int, age, _ string) bool { return status == http.StatusOK && age == "unknown" })
	a.until("on the page", "/", func(_ int, _, answer string) bool {
		return strings.Contains(answer, "projection is halted") && strings.Contains(answer, "read model not known")
	})
	a.place("o-2") // orders are taken
	if status, _, answer := a.ask(http.MethodPost, "/v1/units/order/restart", ""); status != http.StatusConflict {
		t.Errorf("restarting what runs answers %d: %s", status, answer)
	}
	if status, _, answer := a.ask(http.MethodPost, "/v1/units/projection/restart", ""); status != http.StatusAccepted {
		t.Errorf("restarting what is halted answers %d: %s", status, answer)
	}
	var units Units
	_, _, answer := a.ask(http.MethodGet, "/v1/units", "")
	if err := json.Unmarshal([]byte(answer), &units); err != nil || len(units.Items) < 10 {
		t.Errorf("units are %s (%v)", answer, err)
	}
	a.stop()

	for _, f := range []string{"reads.db", "reads.db-wal", "reads.db-shm", "analytics.db", "analytics.db-wal", "analytics.db-shm"} {
		if err := os.Remove(filepath.Join(data, f)); err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
	}
	a = startAlone(t, data)
	a.until("an order of before", "/v1/orders/o-1", closed)
	a.until("an order of the time without a read model", "/v1/orders/o-2", closed)
	a.until("its whole history", "/v1/orders/o-1/history", func(_ int, _, answer string) bool {
		return strings.Count(answer, `"sequence"`) == strings.Count(history, `"sequence"`)
	})
	a.until("well", "/readyz", func(_ int, _, answer string) bool { return !strings.Contains(answer, "degraded") })
	a.place("o-3")
	a.until("the end of a new order", "/v1/orders/o-3", closed)
}

// A stranger's record that says that others came before it halts the read model: they
// are nowhere. The cure that is named lets it go on.
func TestALostEventIsAccepted(t *testing.T) {
	a := startAlone(t, t.TempDir())
	if status, _, answer := a.ask(http.MethodPost, "/v1/units/projection/accept", ""); status != http.StatusConflict {
		t.Errorf("accepting what is not lost answers %d: %s", status, answer)
	}
	e := streams.Envelope{ID: "f-1", Type: "stock.drawn", Version: 1, Source: "shelf", Key: "tea", Time: time.Now(), Lane: "stranger/0/i9", Seq: 8, Prev: 7,
		Data: []byte(`{"sku":"tea"}`)}
	cl, err := kgo.NewClient(kgo.SeedBrokers(a.kafka), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	if err := cl.ProduceSync(t.Context(), e.Record("shelf.sku", streams.Partition("tea", 2))).FirstErr(); err != nil {
		t.Fatal(err)
	}
	a.until("halted, with both cures", "/readyz", func(status int, _, answer string) bool {
		return status == http.StatusOK && strings.Contains(answer, "projection is halted: hole in shelf.sku") &&
			strings.Contains(answer, `weir unit restart \"projection\"`) && strings.Contains(answer, `weir unit accept \"projection\"`)
	})
	a.place("o-1")
	a.until("analytics halted by the same", "/readyz", func(_ int, _, answer string) bool { return strings.Contains(answer, `weir unit accept \"analytics\"`) })
	for _, unit := range []string{"projection", "analytics"} {
		if status, _, answer := a.ask(http.MethodPost, "/v1/units/"+unit+"/accept", ""); status != http.StatusAccepted {
			t.Errorf("accepting answers %d: %s", status, answer)
		}
	}
	a.until("the end of an order", "/v1/orders/o-1", closed)
	a.until("a note", "/v1/skipped", func(_ int, _, answer string) bool { return strings.Contains(answer, "a person has accepted") })
	a.until("well", "/readyz", func(_ int, _, answer string) bool { return !strings.Contains(answer, "degraded") })
}

// Tables of analytics that cannot be opened keep nobody from working either.
func TestAnalyticsThatCannotBeOpened(t *testing.T) {
	data := t.TempDir()
	if err := os.WriteFile(filepath.Join(data, "analytics.db"), []byte(strings.Repeat("this is no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	a := startAlone(t, data)
	a.place("o-1")
	a.until("the end of an order", "/v1/orders/o-1", closed)
	a.until("ready, and honest", "/readyz", func(status int, _, answer string) bool {
		return status == http.StatusOK && strings.Contains(answer, "analytics is halted") && strings.Contains(answer, "not a database")
	})
	if status, _, answer := a.ask(http.MethodGet, "/v1/analytics/revenue", ""); status != http.StatusServiceUnavailable {
		t.Errorf("a question is answered with %d: %s", status, answer)
	}
}

// A read model that cannot be opened keeps nobody from working, and says so; mended,
// it goes on without a restart.
func TestAReadModelThatCannotBeOpened(t *testing.T) {
	data := t.TempDir()
	file := filepath.Join(data, "reads.db")
	if err := os.WriteFile(file, []byte(strings.Repeat("this is no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	a := startAlone(t, data)
	a.place("o-1")
	a.until("ready, and honest", "/readyz", func(status int, _, answer string) bool {
		return status == http.StatusOK && strings.Contains(answer, "store of the read model is halted") && strings.Contains(answer, "not a database")
	})
	if status, age, answer := a.ask(http.MethodGet, "/v1/orders", ""); status != http.StatusServiceUnavailable || age != "unknown" {
		t.Errorf("orders are answered with %d, age %q: %s", status, age, answer)
	}
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	if status, _, answer := a.ask(http.MethodPost, "/v1/units/store%20of%20the%20read%20model/restart", ""); status != http.StatusAccepted {
		t.Errorf("restarting answers %d: %s", status, answer)
	}
	a.until("there after all", "/v1/orders/o-1", closed)
	a.until("well", "/readyz", func(_ int, _, answer string) bool { return !strings.Contains(answer, "degraded") })
}

func (a *alone) client() *kgo.Client {
	a.t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(a.kafka))
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(cl.Close)
	return cl
}

// firstOffset is the highest of the beginnings of a topic's partitions.
func (a *alone) firstOffset(topic string) (first int64) {
	a.t.Helper()
	starts, err := kadm.NewClient(a.client()).ListStartOffsets(a.t.Context(), topic)
	if err != nil {
		a.t.Fatal(err)
	}
	starts.Each(func(o kadm.ListedOffset) { first = max(first, o.Offset) })
	return first
}
