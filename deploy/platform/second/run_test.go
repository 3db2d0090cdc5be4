package second

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/platform"
)

// asked is an answer of the platform.
type asked struct {
	status int
	body   string
	header http.Header
}

func ask(t *testing.T, method, url, body string, headers ...string) asked {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return asked{res.StatusCode, string(b), res.Header}
}

// The library runs: with customers, the prober and a pipeline, commands and views over
// HTTP, its live page, faults; and its books balance when it ends.
func TestTheLibraryRuns(t *testing.T) {
	cfg := config.Default()
	cfg.HTTP, cfg.Data, cfg.Partitions = "127.0.0.1:0", t.TempDir(), 2
	cfg.Quota.PerSecond = 500
	var log, out bytes.Buffer
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- platform.Run(context.Background(), platform.Options{Business: library, Config: cfg, Units: []string{platform.AllUnits}, Kafka: "127.0.0.1:0",
			Rate: 10, Probe: 200 * time.Millisecond, For: 12 * time.Second, Out: &out,
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn})), Ready: func(http, _ string) { ready <- "http://" + http }})
	}()
	var url string
	select {
	case url = <-ready:
	case err := <-ended:
		t.Fatalf("%v\n%s", err, &log)
	}
	lend(t, url)
	pages(t, url)
	for path, want := range map[string]string{"/": "lend-a-book", "/sagas": "lend-a-book", "/v1/units": `"unit":"readings"`, "/v1/faults": "courier-down", "/metrics": `saga="lend-a-book"`, "/readyz": `"ready":true`} {
		if r := ask(t, "GET", url+path, ""); r.status != 200 || !strings.Contains(r.body, want) {
			t.Errorf("%s answers %d without %q: %.300s", path, r.status, want, r.body)
		}
	}
	if r := ask(t, "POST", url+"/v1/faults/courier-down/on", ""); r.status != 200 {
		t.Errorf("the courier cannot be broken: %d %s", r.status, r.body)
	}
	ask(t, "POST", url+"/v1/faults/courier-down/off", "")
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s\n%s", err, &out, &log)
	}
	if !strings.Contains(out.String(), " loans, ") {
		t.Errorf("it says at its end:\n%s", &out)
	}
}

// lend buys a book, borrows it, and reads what became of that.
func lend(t *testing.T, url string) {
	t.Helper()
	bought := `{"specversion":"1.0","id":"b1","source":"/door","type":"copies.bought","data":{"book":"emma","copies":2}}`
	if r := ask(t, "POST", url+"/v1/events", bought, "Content-Type", "application/cloudevents+json"); r.status != http.StatusAccepted {
		t.Fatalf("%d %s", r.status, r.body)
	}
	if r := ask(t, "POST", url+"/v1/loans", `{"book":"emma"}`); r.status != 422 || !strings.Contains(r.body, "member") {
		t.Errorf("a loan to nobody: %d %s", r.status, r.body)
	}
	lent := ask(t, "POST", url+"/v1/loans", `{"loan":"l-1","book":"emma","member":"jane"}`)
	if lent.status != 201 || lent.header.Get("Location") != "/v1/loans/l-1" {
		t.Fatalf("%d %s %v", lent.status, lent.body, lent.header)
	}
	read := ask(t, "GET", url+"/v1/loans/l-1", "", "Weir-Token", lent.header.Get("Weir-Token"))
	if read.status != 200 || !strings.Contains(read.body, `"book":"emma"`) || strings.Contains(read.body, "jane") {
		t.Errorf("the loan reads %d %s", read.status, read.body)
	}
	var b struct {
		Loans, Copies int
		PerCopy       float64 `json:"loans_per_copy"`
	}
	for range 100 { // until it is on its way
		r := ask(t, "GET", url+"/v1/books/emma", "")
		if b.Loans = 0; json.Unmarshal([]byte(r.body), &b) == nil && b.Loans == 1 {
			break
		}
		time.Sleep(50 * time.Millisecond)
	}
	if fmt.Sprint(b) != "{1 2 0.5}" {
		t.Errorf("the book reads %+v", b)
	}
	if r := ask(t, "GET", url+"/v1/loans/l-1/history", ""); r.status != 200 || !strings.Contains(r.body, "copy.lent") || strings.Contains(r.body, "jane") {
		t.Errorf("the history reads %d %s", r.status, r.body)
	}
	if r := ask(t, "POST", url+"/v1/loans/l-1/return", ""); r.status != 200 {
		t.Errorf("the return: %d %s", r.status, r.body)
	}
	if r := ask(t, "POST", url+"/v1/loans/l-2/return", ""); r.status != 404 || !strings.Contains(r.body, "unknown-loan") {
		t.Errorf("the return of nothing: %d %s", r.status, r.body)
	}
}
