package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/alerts"
	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/platform"
	"github.com/weirstream/weir/services/shop"
)

// A platform in which something is parked, for the commands of the runbooks.
func parkedPlatform(t *testing.T) (key string) {
	t.Helper()
	cfg := config.Default()
	cfg.HTTP, cfg.Data, cfg.Partitions = "127.0.0.1:0", t.TempDir(), 2
	ready, ended := make(chan string, 1), make(chan error, 1)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		ended <- platform.Run(ctx, platform.Options{Business: shop.Business, Config: cfg, Units: []string{platform.AllUnits}, Kafka: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
			Ready: func(http, _ string) { ready <- http }})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	select {
	case addr := <-ready:
		t.Setenv("WEIR_URL", "http://"+addr)
		placeOne(t, "http://"+addr)
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	run(t, 0, "fault", "on", "poison-event")
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		var list struct{ Items []struct{ Key string } }
		if err := json.Unmarshal([]byte(run(t, 0, "dlq", "ls", "-o", "json")), &list); err != nil {
			t.Fatal(err)
		}
		if len(list.Items) > 0 {
			return list.Items[0].Key
		}
	}
	t.Fatal("nothing is parked")
	return ""
}

// placeOne places the order o-1.
func placeOne(t *testing.T, url string) {
	t.Helper()
	body := `{"order":"o-1","customer":"c","email":"c@example.org","card":"tok","ship_to":{"name":"A","street":"1 High Street","city":"Leeds","postcode":"LS1 1AA","country":"GB"},` +
		`"lines":[{"sku":"mug","quantity":1,"unit":{"minor":100,"currency":"GBP"}}]}`
	res, err := http.Post(url+"/v1/orders", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil || res.StatusCode != http.StatusCreated {
		t.Fatal(res.Status, err)
	}
}

var runbookCall = regexp.MustCompile("`weir ([^`]+)`")

// Every command of a runbook does what it is there for, on a platform that has the
// trouble: what only looks answers, and what acts acts or says why not.
func TestRunbookCommandsWork(t *testing.T) {
	key := parkedPlatform(t)
	words := map[string]string{"SERVICE": "inventory", "DECIDER": "shelf", "KEY": key, "CORRELATION": "o-1", "NAME": "hot-key", "UNIT": "projection"}
	calls := map[string][]string{} // by the runbooks that have them
	s, err := tested.businessAlerts(alerts.DefaultRunbooks)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range s.Names() {
		text, err := s.Runbook(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range runbookCall.FindAllStringSubmatch(string(text), -1) {
			calls[m[1]] = append(calls[m[1]], name)
		}
	}
	did := 0
	all := slices.Sorted(maps.Keys(calls))
	slices.SortStableFunc(all, func(a, b string) int { // what is looked at is not to be dropped before
		return strings.Compare(fmt.Sprint(strings.Contains(a, "drop")), fmt.Sprint(strings.Contains(b, "drop")))
	})
	for _, call := range all {
		args := strings.Fields(call)
		if args[0] == "run" || args[0] == "dev" || args[0] == "backfill" || args[0] == "fault" && args[1] == "on" || parses(slices.Clone(args), true) != nil { // runs on; needs servers, or a weir that has stopped; breaks things; is only named
			continue
		}
		for i, w := range args {
			if v, ok := words[w]; ok {
				args[i] = v
			}
		}
		did++
		want := []int{0}
		if verb := args[min(1, len(args)-1)]; verb == "retry" || verb == "restart" || verb == "accept" || verb == "check" || verb == "plan" { // the poison stays one, nothing is halted, nothing is lost, servers may not be there
			want = append(want, 1, 3)
		}
		if code := tested.Main(args, io.Discard, io.Discard); !slices.Contains(want, code) {
			t.Errorf("weir %s, of %v, exits with %d", strings.Join(args, " "), calls[call], code)
		}
	}
	if did < 9 {
		t.Errorf("%d commands were run: %v", did, calls)
	}
}
