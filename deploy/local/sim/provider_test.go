package sim_test

import (
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"net/http/httptest"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/services/event"
	payments "github.com/weirstream/weir/services/payment/provider"
	"github.com/weirstream/weir/services/shipping/carrier"
)

func auth(order string, minor int64) string {
	return fmt.Sprintf(`{"order":%q,"amount":{"minor":%d,"currency":"EUR"},"card":"tok-1"}`, order, minor)
}

func about(order string, minor int64, of any) string {
	return fmt.Sprintf(`{"order":%q,"amount":{"minor":%d,"currency":"EUR"},"of":%q}`, order, minor, of)
}

func eur(minor int64) event.Money { return event.Money{Minor: minor, Currency: "EUR"} }

func TestMoneyMovesOncePerKey(t *testing.T) {
	p, url := provider(t, sim.Config{})
	var wait sync.WaitGroup
	answers := make([]string, 8)
	for i := range answers {
		wait.Go(func() {
			code, body := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 1650), soon)
			answers[i] = fmt.Sprint(code, body)
		})
	}
	wait.Wait()
	for _, a := range answers {
		if a != answers[0] {
			t.Errorf("the same key was answered %s and %s", answers[0], a)
		}
	}
	_, body := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 1650), soon)
	_, captured := post(t, url+"/v1/captures", "o1/capture", about("o1", 1650, body["id"]), soon)
	if code, _ := post(t, url+"/v1/refunds", "o1/refund", about("o1", 1650, captured["id"]), soon); code != 201 {
		t.Errorf("the refund was answered %d", code)
	}
	if got, want := p.of("o1"), (payments.Account{Authorised: eur(1650), Captured: eur(1650), Voided: eur(0), Refunded: eur(1650)}); got != want {
		t.Errorf("o1 has %v, want %v", got, want)
	}
	ledger := get(t, url+"/ledger")
	if at(ledger, "keys", "o1/authorise", "effects") != 1.0 || at(ledger, "keys", "o1/authorise", "calls") != 9.0 {
		t.Errorf("the ledger has %v", ledger)
	}
	if at(ledger, "books", "o1", "refunded", "minor") != 1650.0 {
		t.Errorf("the ledger has %v", ledger)
	}
}

func TestProviderRefuses(t *testing.T) {
	p, url := provider(t, sim.Config{})
	_, a := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 100), soon)
	for _, c := range []struct {
		path, key, body string
		want            int
	}{
		{"authorisations", "o1/authorise", auth("o1", 101), 409},
		{"captures", "o1/authorise", auth("o1", 100), 409},
		{"authorisations", "", auth("o2", 5), 400},
		{"authorisations", "o2/authorise", auth("o2", 0), 400},
		{"authorisations", "o2/authorise", `{"order":`, 400},
		{"authorisations", "o2/authorise", `{"order":"o2","amount":{"minor":5,"currency":"eur"}}`, 400},
		{"authorisations", "o2/authorise", `{"order":"o2","amount":{"minor":5,"currency":"EUR"},"card":"tok-declined-1"}`, 402},
		{"captures", "o1/capture", about("o1", 100, "nothing"), 404},
		{"captures", "o3/capture", about("o3", 100, a["id"]), 404},
		{"captures", "o1/capture", about("o1", 100, a["id"]), 201},
		{"captures", "o1/capture-2", about("o1", 100, a["id"]), 402},
		{"voids", "o1/void", about("o1", 100, a["id"]), 422},
		{"refunds", "o1/refund", about("o1", 100, a["id"]), 404},
	} {
		if code, body := post(t, url+"/v1/"+c.path, c.key, c.body, soon); code != c.want {
			t.Errorf("%s %s %s was answered %d %v, want %d", c.path, c.key, c.body, code, body, c.want)
		}
	}
	if got, want := p.of("o1"), (payments.Account{Authorised: eur(100), Captured: eur(100), Voided: eur(0), Refunded: eur(0)}); got != want {
		t.Errorf("o1 has %v, want %v", got, want)
	}
	if at(get(t, url+"/ledger"), "keys", "o2/authorise", "effects") != 0.0 {
		t.Error("a decline took effect")
	}
}

// What a seed declines is declined for every repeat and in every process.
func TestDeclinesFollowFromSeedAndKey(t *testing.T) {
	faults := sim.Faults{Seed: 7, Refuse: map[string]float64{payments.Declined: 0.3}}
	_, first := provider(t, sim.Config{Faults: faults})
	_, second := provider(t, sim.Config{Faults: faults})
	declined := 0
	for i := range 100 {
		o := fmt.Sprint("o", i)
		a, _ := post(t, first+"/v1/authorisations", o+"/authorise", auth(o, 5), soon)
		b, _ := post(t, second+"/v1/authorisations", o+"/authorise", auth(o, 5), soon)
		if a != b {
			t.Errorf("%s was answered %d and %d", o, a, b)
		}
		if a == 402 {
			declined++
		}
	}
	if declined < 15 || declined > 45 {
		t.Errorf("%d of 100 declined at a rate of 0.3", declined)
	}
}

func TestALostAnswerHasOneEffect(t *testing.T) {
	p, url := provider(t, sim.Config{Faults: sim.Faults{Lost: 1}})
	for range 2 {
		if code, _ := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 5), 100*time.Millisecond); code != 0 {
			t.Errorf("a lost answer came: %d", code)
		}
	}
	if err := p.SetFaults(sim.Faults{Late: 1, LateMS: 50}); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if code, _ := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 5), soon); code != 201 || time.Since(begin) < 50*time.Millisecond {
		t.Errorf("a late answer was %d after %v", code, time.Since(begin))
	}
	if p.of("o1").Authorised != eur(5) {
		t.Errorf("o1 has %v", p.of("o1"))
	}
}

func TestProviderSurvivesARestart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "provider.jsonl")
	p, url := provider(t, sim.Config{Journal: path, Faults: sim.Faults{Lost: 1}})
	if code, _ := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 5), 100*time.Millisecond); code != 0 {
		t.Fatal(code)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if code, _ := post(t, url+"/v1/authorisations", "o2/authorise", auth("o2", 5), soon); code != 503 {
		t.Errorf("a closed provider answered %d", code)
	}
	p, url = provider(t, sim.Config{Journal: path})
	code, a := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 5), soon)
	if code != 201 || p.of("o1").Authorised != eur(5) {
		t.Errorf("after the restart it answered %d, and o1 has %v", code, p.of("o1"))
	}
	if code, _ := post(t, url+"/v1/voids", "o1/void", about("o1", 5, a["id"]), soon); code != 201 {
		t.Errorf("the void was answered %d", code)
	}
}

func TestCloseCutsOffWhoWouldWaitForEver(t *testing.T) {
	p, url := provider(t, sim.Config{Faults: sim.Faults{Lost: 1}})
	gone := make(chan int)
	go func() {
		code, _ := post(t, url+"/v1/authorisations", "o1/authorise", auth("o1", 5), time.Minute)
		gone <- code
	}()
	for p.of("o1").Authorised.Minor == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if code := <-gone; code != 0 {
		t.Errorf("it was answered %d", code)
	}
}

func TestCarrier(t *testing.T) {
	path := filepath.Join(t.TempDir(), "carrier.jsonl")
	start := func() (simulated[[]string], string) {
		s, err := sim.NewServer(carrier.Endpoint, sim.Config{Journal: path})
		if err != nil {
			t.Fatal(err)
		}
		server := httptest.NewServer(s)
		t.Cleanup(server.Close)
		return simulated[[]string]{s, t}, server.URL
	}
	s, url := start()
	label := `{"order":"o1","ship_to":{"name":"Ada","city":"Leeds","country":"GB"}}`
	_, first := post(t, url+"/v1/labels", "o1/label", label, soon)
	if code, again := post(t, url+"/v1/labels", "o1/label", label, soon); code != 201 || first["tracking"] == "" || first["tracking"] != again["tracking"] {
		t.Errorf("labels %v and %v (%d)", first, again, code)
	}
	if code, _ := post(t, url+"/v1/labels", "o2/label", `{"order":"o2","ship_to":{"country":"XX"}}`, soon); code != 422 {
		t.Errorf("a parcel to nowhere was answered %d", code)
	}
	if code, _ := post(t, url+"/v1/labels", "o3/label", `{}`, soon); code != 400 {
		t.Errorf("a label for nothing was answered %d", code)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, url = start()
	post(t, url+"/v1/labels", "o1/label", label, soon)
	if got := s.of("o1"); len(got) != 1 || got[0] != first["tracking"] {
		t.Errorf("o1 has labels %v, want %v", got, first["tracking"])
	}
	if at(get(t, url+"/ledger"), "keys", "o1/label", "effects") != 1.0 {
		t.Error("the ledger has forgotten o1")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}
