package retail

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/order"
)

// shop is a gateway on a bad day: one request in three fails, in turn by a
// broken connection, 503, 429 and a lost answer.
type shop struct {
	t *testing.T

	mu      sync.Mutex
	asked   int
	keys    map[string][]byte // body by Idempotency-Key
	orders  map[event.OrderID]order.PlaceOrder
	looks   map[event.OrderID]int
	refuse  map[event.OrderID]bool
	cancel  map[event.OrderID]bool
	discord map[event.OrderID]bool // answers another total
	stuck   bool                   // nothing ever closes
}

func newShop(t *testing.T) (*shop, string) {
	s := &shop{t: t, keys: map[string][]byte{}, orders: map[event.OrderID]order.PlaceOrder{}, looks: map[event.OrderID]int{},
		refuse: map[event.OrderID]bool{}, cancel: map[event.OrderID]bool{}, discord: map[event.OrderID]bool{}}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	return s, srv.URL
}

func (s *shop) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.asked%3 == 0 {
		switch s.asked % 4 {
		case 0:
			panic(http.ErrAbortHandler)
		case 1:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case 2:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		default:
			s.answer(httptest.NewRecorder(), r)
			panic(http.ErrAbortHandler)
		}
	}
	s.answer(w, r)
}

func (s *shop) answer(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/readyz" {
		fmt.Fprint(w, `{"ready":true}`)
		return
	}
	if r.Method == http.MethodGet {
		s.look(w, event.OrderID(strings.TrimPrefix(r.URL.Path, "/v1/orders/")))
		return
	}
	var body bytes.Buffer
	var c order.PlaceOrder
	if _, err := body.ReadFrom(r.Body); err != nil || json.Unmarshal(body.Bytes(), &c) != nil {
		s.t.Errorf("a body cannot be read")
	}
	key := r.Header.Get("Idempotency-Key")
	if old, ok := s.keys[key]; ok && !bytes.Equal(old, body.Bytes()) {
		s.t.Errorf("key %q comes with two bodies", key)
	}
	if s.refuse[c.Order] {
		w.WriteHeader(http.StatusUnprocessableEntity)
		return
	}
	s.keys[key], s.orders[c.Order] = body.Bytes(), c
	w.WriteHeader(http.StatusCreated)
}

func (s *shop) look(w http.ResponseWriter, id event.OrderID) {
	c, ok := s.orders[id]
	s.looks[id]++
	if !ok || s.looks[id] == 1 { // the read model lags
		w.WriteHeader(http.StatusNotFound)
		return
	}
	e, err := event.OrderPlaced{Order: c.Order, Customer: c.Customer, Email: c.Email, ShipTo: c.ShipTo, Card: c.Card, Lines: c.Lines}.Priced()
	if err != nil {
		s.t.Errorf("order %s: %v", id, err)
	}
	if s.discord[id] {
		e.Total.Minor++
	}
	v := map[string]any{"state": "confirmed", "closed": false, "total": e.Total, "confirmed_at": time.Unix(1, 0)}
	if s.looks[id] > 2 && !s.stuck {
		v["closed"] = true
	}
	if s.cancel[id] {
		v["state"] = "cancelled"
	}
	_ = json.NewEncoder(w).Encode(v)
}

func load(t *testing.T, o Options) (Report, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	return Load(ctx, o)
}

func TestLoad(t *testing.T) {
	s, url := newShop(t)
	var progress bytes.Buffer
	first, err := load(t, Options{File: data, URL: url + "/", Progress: &progress})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.keys) != 563 || len(s.orders) != 563 {
		t.Errorf("%d keys made %d orders, want 563 of both", len(s.keys), len(s.orders))
	}
	if first.Confirmed != 563 || first.ConfirmedTotalMinor != 25815428 || first.Cancelled != 0 || first.Orders != 563 || first.Lines != 14296 || len(first.Unused) != 299 {
		first.Unused = nil
		t.Errorf("report is %+v", first)
	}
	if progress.Len() > 0 {
		t.Errorf("a bar was drawn on what is no terminal: %q", progress.String())
	}
	guest := s.orders["536414"] // its only lines cannot be sold
	if guest.Order != "" {
		t.Errorf("an invoice without lines was placed: %+v", guest)
	}

	second, err := load(t, Options{File: data, URL: url, Concurrency: 64})
	if err != nil || len(s.keys) != 563 || fmt.Sprint(first) != fmt.Sprint(second) {
		t.Errorf("loading again made %d orders of %d (%v)", len(s.keys), 563, err)
	}
	b, err := json.Marshal(second)
	if err != nil {
		t.Fatal(err)
	}
	for _, field := range []string{`"orders":563`, `"confirmed_total_minor":25815428`, `"currency":"GBP"`, `"invoices_without_lines":66`, `"lines_unsellable":124`,
		`"cancellations":70`, `"cancellation_lines":174`, `"malformed":1`, `"unused":[{"line":`} {
		if !bytes.Contains(b, []byte(field)) {
			t.Errorf("the report lacks %s", field)
		}
	}
}

// few writes a data file of n orders of one line.
func few(t *testing.T, n int) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(strings.Join(header, ",") + "\n")
	for i := range n {
		fmt.Fprintf(&b, "%d,S,x,1,12/1/10 8:26,1.50,,France\n", 100+i)
	}
	path := filepath.Join(t.TempDir(), "few.csv")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLoadTellsWhatWentWrong(t *testing.T) {
	s, url := newShop(t)
	s.refuse["101"], s.cancel["102"], s.discord["103"] = true, true, true
	r, err := load(t, Options{File: few(t, 6), URL: url})
	if err == nil || !strings.Contains(err.Error(), "invoice 101 was not placed") || !strings.Contains(err.Error(), "order 103 came out at 151 GBP, the invoice says 150 GBP") {
		t.Errorf("the error is %v", err)
	}
	if r.Orders != 6 || r.Confirmed != 3 || r.ConfirmedTotalMinor != 450 || r.Cancelled != 1 {
		t.Errorf("the report is %+v", r)
	}
	if s.orders["100"].Customer != "guest-100" || s.orders["100"].ShipTo.Country != "France" {
		t.Errorf("an order is %+v", s.orders["100"])
	}
}

func TestLoadEndsWithItsContext(t *testing.T) {
	s, url := newShop(t)
	s.stuck = true
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if _, err := Load(ctx, Options{File: few(t, 3), URL: url}); err == nil || !strings.Contains(err.Error(), "start again to go on") {
		t.Errorf("the error is %v", err)
	}
	if _, err := Load(context.Background(), Options{File: "no-such.csv", URL: url}); err == nil {
		t.Error("a missing file is no error")
	}
}

func TestTheRate(t *testing.T) {
	l := &loader{Options: Options{Rate: 10}}
	now := time.Now()
	for i := range 5 {
		if got, want := l.turn(now), time.Duration(i)*100*time.Millisecond; got != want {
			t.Errorf("order %d waits %v, want %v", i, got, want)
		}
	}
	if got := l.turn(now.Add(time.Minute)); got != 0 {
		t.Errorf("after a quiet minute it waits %v", got)
	}
}

// file writes a data file of these lines.
func file(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "some.csv")
	if err := os.WriteFile(path, []byte(strings.Join(append([]string{strings.Join(header, ",")}, lines...), "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Who cannot be reached is told of soon, and not waited for.
func TestNobodyThere(t *testing.T) {
	for _, url := range []string{"nonsense", "", "ftp://h", "http://"} {
		if _, err := load(t, Options{File: few(t, 1), URL: url}); !errors.Is(err, ErrNoURL) {
			t.Errorf("%q: %v", url, err)
		}
	}
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	for _, url := range []string{"http://127.0.0.1:1", other.URL} {
		r, err := load(t, Options{File: few(t, 3), URL: url, Patience: 300 * time.Millisecond})
		if !errors.Is(err, ErrUnreachable) || r.NotSent != 3 {
			t.Errorf("%s: %v, %+v", url, err, r)
		}
	}
}

// A gateway that goes away for good ends the load, which says what is known.
func TestAGatewayThatGoesAway(t *testing.T) {
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/readyz":
			fmt.Fprint(w, "{}")
		case asked.Add(1) <= 3:
			w.WriteHeader(http.StatusCreated)
		default:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer srv.Close()
	r, err := load(t, Options{File: few(t, 20), URL: srv.URL, Concurrency: 2, Patience: 300 * time.Millisecond})
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "of 20 orders 0 are closed, 3 more were taken, ") {
		t.Errorf("the error is %v", err)
	}
	if r.Open != 3 || r.Unknown == 0 || r.Open+r.Unknown+r.NotSent != 20 {
		t.Errorf("the report is %+v", r)
	}
}

// Who interrupts a load is told what was sent, and what nobody knows.
func TestAnInterruptedLoadTellsTheTruth(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/readyz" {
			fmt.Fprint(w, "{}")
			return
		}
		if asked.Add(1) > 2 {
			_, _ = io.Copy(io.Discard, r.Body) // or a server does not see that its client left
			cancel()
			<-r.Context().Done() // it took the order, perhaps
			return
		}
		w.WriteHeader(http.StatusCreated)
	}))
	defer srv.Close()
	r, err := Load(ctx, Options{File: few(t, 9), URL: srv.URL, Concurrency: 1})
	if err == nil || !strings.Contains(err.Error(), "of 9 orders 0 are closed, 2 more were taken, 1 were sent and nobody knows whether they were taken, 6 were not sent") {
		t.Errorf("the error is %v", err)
	}
	if r.Open != 2 || r.Unknown != 1 || r.NotSent != 6 || r.Confirmed != 0 {
		t.Errorf("the report is %+v", r)
	}
}

// Two sales under one number are two orders, the same ones whenever they are loaded.
func TestANumberThatIsGivenTwice(t *testing.T) {
	s, url := newShop(t)
	path := file(t, "L7,A1,x,1,12/1/10 8:26,2.55,17850,United Kingdom", "L7,B2,x,1,12/9/10 9:00,2.55,99999,France", "L7,C3,x,2,12/1/10 8:27,1,17850,United Kingdom",
		"L7,D4,x,1,12/3/10 8:26,1,17850,United Kingdom", "L7,E5,x,1,12/1/10 9:00,1,,")
	for range 2 {
		r, err := load(t, Options{File: path, URL: url})
		if err != nil || r.Orders != 3 || len(r.Split) != 2 || r.Confirmed != 3 {
			t.Errorf("%v, %+v", err, r)
		}
	}
	for id, lines := range map[event.OrderID]int{"L7": 3, "L7-99999-2010-12-09": 1, "L7-17850-2010-12-03": 1} {
		if o := s.orders[id]; len(o.Lines) != lines {
			t.Errorf("order %s is %+v", id, o)
		}
	}
	if len(s.orders) != 3 || s.orders["L7"].Customer != "17850" || s.orders["L7-99999-2010-12-09"].ShipTo.Country != "France" {
		t.Errorf("the orders are %+v", s.orders)
	}
}

// What cannot be counted is left out, told, and spoils nothing else.
func TestAmountsBeyondCounting(t *testing.T) {
	_, url := newShop(t)
	r, err := load(t, Options{URL: url, File: file(t, "L1,A,x,2,12/1/10 8:26,92233720368547758.07,1,United Kingdom", "L2,A,x,1,12/1/10 8:26,2.55,1,United Kingdom",
		"L3,A,x,1,12/1/10 8:26,92233720368547758.07,1,United Kingdom", "L4,A,x,1,12/1/10 8:26,1,1,United Kingdom")})
	if err == nil || !strings.Contains(err.Error(), "2 lines were left out") {
		t.Errorf("the error is %v", err)
	}
	if r.Orders != 2 || r.ConfirmedTotalMinor != 355 || r.Uncountable != 2 || len(r.Unused) != 2 || r.Unused[0].Line != 2 || r.Unused[1].Line != 4 ||
		!strings.HasPrefix(r.Unused[1].Reason, "uncountable: with this line") {
		t.Errorf("the report is %+v", r)
	}
}
