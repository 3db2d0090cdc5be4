package sim_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/services/event"
	payments "github.com/weirstream/weir/services/payment/provider"
	"github.com/weirstream/weir/streams/business"
)

// post sends a body under an idempotency key. Status 0 means that no answer came.
func post(t *testing.T, url, key, body string, limit time.Duration) (int, map[string]any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		req.Header.Set("Idempotency-Key", key)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, nil
	}
	defer res.Body.Close()
	return res.StatusCode, decode(t, res.Body)
}

func get(t *testing.T, url string) map[string]any {
	t.Helper()
	res, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	return decode(t, res.Body)
}

func decode(t *testing.T, r io.Reader) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.NewDecoder(r).Decode(&v); err != nil {
		t.Fatal(err)
	}
	return v
}

// at walks nested objects: at(v, "keys", "o1/authorise", "effects").
func at(v any, path ...string) any {
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[p]
	}
	return v
}

// simulated is a server with its books.
type simulated[T any] struct {
	*sim.Server
	t *testing.T
}

// of is what the books say of an order, whether the server still serves or not.
func (s simulated[T]) of(id event.OrderID) T {
	s.t.Helper()
	all, err := sim.Ledgers(map[string]sim.Simulated{"it": s.Server})
	var l struct{ Books map[event.OrderID]T }
	if err == nil {
		err = json.Unmarshal(all["it"], &l)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return l.Books[id]
}

func (s simulated[T]) Account(id event.OrderID) T { return s.of(id) }

func provider(t *testing.T, c sim.Config) (simulated[payments.Account], string) {
	t.Helper()
	p, err := sim.NewServer(payments.Endpoint, c)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(p)
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
		s.Close()
	})
	return simulated[payments.Account]{p, t}, s.URL
}

const soon = 5 * time.Second

func TestFaultsAreSwitchedWhileItRuns(t *testing.T) {
	_, url := provider(t, sim.Config{})
	if code, _ := post(t, url+"/faults", "", `{"down":true}`, soon); code != 200 {
		t.Fatalf("switching off answered %d", code)
	}
	if code, _ := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 5), soon); code != 0 {
		t.Errorf("a provider that is down answered %d", code)
	}
	for _, bad := range []string{`{"lost":1.5}`, `{"errors":-1}`, `{"lattency_ms":5}`, `{"late_ms":-1}`, `{`} {
		if code, _ := post(t, url+"/faults", "", bad, soon); code != 400 {
			t.Errorf("faults %s were answered %d", bad, code)
		}
	}
	if at(get(t, url+"/faults"), "down") != true {
		t.Error("bad faults mended the provider")
	}
	if code, _ := post(t, url+"/faults", "", `{}`, soon); code != 200 {
		t.Fatal(code)
	}
	if code, _ := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 5), soon); code != 201 {
		t.Errorf("a mended provider answered %d", code)
	}
	if (sim.Faults{Lost: math.NaN()}).Check() == nil {
		t.Error("NaN passed as a rate")
	}
}

func TestLatency(t *testing.T) {
	p, url := provider(t, sim.Config{Faults: sim.Faults{LatencyMS: 40, JitterMS: 20}})
	begin := time.Now()
	if code, _ := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 5), soon); code != 201 || time.Since(begin) < 40*time.Millisecond {
		t.Errorf("answered %d after %v", code, time.Since(begin))
	}
	// Who gives up before it acts has no effect.
	if err := p.SetFaults(sim.Faults{LatencyMS: 60_000}); err != nil {
		t.Fatal(err)
	}
	if code, _ := post(t, url+"/v1/authorisations", "o2/authorise", auth("o2", 5), 50*time.Millisecond); code != 0 {
		t.Errorf("answered %d at once", code)
	}
	if a := p.of("o2"); a.Authorised.Minor != 0 {
		t.Errorf("authorised %v for who had given up", a)
	}
}

func TestPassingErrorsHaveNoEffect(t *testing.T) {
	p, url := provider(t, sim.Config{Faults: sim.Faults{Seed: 3, Errors: 0.5}})
	errors := 0
	for i := range 40 {
		o := fmt.Sprint("o", i)
		code := 503
		for code == 503 {
			if code, _ = post(t, url+"/v1/authorisations", o+"/authorise", auth(o, 5), soon); code == 503 {
				errors++
				if p.of(event.OrderID(o)).Authorised.Minor != 0 {
					t.Fatal("a 503 moved money")
				}
			}
		}
	}
	if errors < 10 || errors > 120 {
		t.Errorf("%d errors at a rate of one half", errors)
	}
}

func TestProgramDrainsAndRemembers(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "mailbox.jsonl")
	relay := business.Endpoint{Name: "mailbox", What: "mail relay", Protocol: business.SMTP}
	mailbox := sim.Program{Config: sim.Config{Journal: journal}, Listen: "127.0.0.1:0", SMTP: "127.0.0.1:0"}
	for want := range 2 {
		ctx, stop := context.WithCancel(t.Context())
		out, in := io.Pipe()
		done := make(chan error, 1)
		go func() { done <- mailbox.Run(ctx, relay, in) }()
		var smtpAt, httpAt string
		if _, err := fmt.Fscanf(out, "taking mail on smtp://%s\nlistening on http://%s\n", &smtpAt, &httpAt); err != nil {
			t.Fatal(err)
		}
		go func() { _, _ = io.Copy(io.Discard, out) }() // the rest is for people
		if n := len(at(get(t, "http://"+httpAt+"/ledger"), "keys").(map[string]any)); n != want {
			t.Errorf("%d mails remembered, want %d", n, want)
		}
		if err := send(t, smtpAt, fmt.Sprint("<", want, "@weir>"), "ada@example.org", "hello"); err != nil {
			t.Fatal(err)
		}
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if _, err := net.DialTimeout("tcp", smtpAt, time.Second); err == nil {
			t.Error("a stopped mailbox still takes connections")
		}
	}
	mailbox.Faults.Lost = 2
	if err := mailbox.Run(t.Context(), relay, io.Discard); err == nil {
		t.Error("a rate of 2 was taken")
	}
}

// What listens on this machine is asked by pages that a person's browser has open,
// too: under a name that was made to point here, or from another site.
func TestOnlyOwnNamesAreAnswered(t *testing.T) {
	program := sim.Program{Listen: "127.0.0.1:0", Hosts: "Provider, pay.example"}
	ctx, stop := context.WithCancel(t.Context())
	out, in := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- program.Run(ctx, payments.Endpoint, in)
	}()
	var url string
	if _, err := fmt.Fscanf(out, "listening on %s\n", &url); err != nil {
		t.Fatal(err)
	}
	go func() { _, _ = io.Copy(io.Discard, out) }() // the rest is for people
	for _, x := range []struct {
		host, site string
		want       int
	}{{"", "", 200}, {"localhost:1", "", 200}, {"provider:9101", "", 200}, {"pay.example", "", 200},
		{"evil.example", "", 421}, {"", "https://evil.example", 403}} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url+"/faults", strings.NewReader(`{}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Host = x.host
		if x.site != "" {
			req.Header.Set("Origin", x.site)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != x.want {
			t.Errorf("host %q, of a page of %q: %d, want %d", x.host, x.site, res.StatusCode, x.want)
		}
	}
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What two readers could read differently is refused, as at the platform's door.
func TestOneReadingOfABody(t *testing.T) {
	p, url := provider(t, sim.Config{})
	for _, body := range []string{auth("o1", 5) + auth("o1", 7), strings.Replace(auth("o1", 5), "{", `{"order":"o2",`, 1), auth("o1", 5) + " {}"} {
		if code, _ := post(t, url+"/v1/authorisations", "k1", body, soon); code != http.StatusBadRequest {
			t.Errorf("%s: %d", body, code)
		}
	}
	for _, body := range []string{`{"down":true,"down":false}`, `{"seed":1} {"down":true}`, `{"doom":true}`} {
		if code, _ := post(t, url+"/faults", "", body, soon); code != http.StatusBadRequest {
			t.Errorf("%s: %d", body, code)
		}
	}
	if a := p.of("o1"); a.Authorised.Minor != 0 {
		t.Errorf("moved %+v", a)
	}
}

func TestJournalDropsATornLineAndRefusesABrokenOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provider.jsonl")
	p, url := provider(t, sim.Config{Journal: path})
	for _, o := range []string{"o1", "o2"} {
		if code, _ := post(t, url+"/v1/authorisations", o+"/authorise", auth(o, 5), soon); code != 201 {
			t.Fatal(code)
		}
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		content []byte
		starts  bool
		second  int64
	}{
		{whole, true, 5}, {whole[:len(whole)-3], true, 0},
		{bytes.Replace(whole, []byte(`{"key"`), []byte(`{key`), 1), false, 0},
	} {
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := sim.NewServer(payments.Endpoint, sim.Config{Journal: path})
		p := simulated[payments.Account]{s, t}
		if c.starts != (err == nil) {
			t.Fatalf("started with %v", err)
		}
		if err != nil {
			continue
		}
		if a := p.of("o2"); a.Authorised.Minor != c.second {
			t.Errorf("o2 has %v", a)
		}
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}
}
