package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

const answered = `{"question":"revenue","zone":"UTC","columns":[{"name":"month","kind":"time"},{"name":"country","kind":"text"},{"name":"currency","kind":"text"},
	{"name":"revenue","kind":"amount"},{"name":"orders","kind":"count"},{"name":"share","kind":"share"},{"name":"wait-p50","kind":"duration"}],
	"rows":[["2010-12","GB","GBP","258154.28",9007199254740993,0.25,90061000000000],["2010-12","Århus\u001b[2J","GBP","129077.14",7,null,null],["2010-12","FR","JPY","50",1,1,1500]],"read":12,"more":true}`

// asked is a weir that answers every question alike, and what it was asked at last.
func asked(t *testing.T) (url string, query *string) {
	t.Helper()
	query = new(string)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		*query = r.URL.RequestURI()
		switch r.URL.Path {
		case "/v1/analytics":
			io.WriteString(w, `{"items":[{"name":"revenue","title":"Revenue","about":"What comes in.","by":["country","hour"],"where":["country"],"numbers":["revenue"]},{"name":"story","title":"Story","about":"What happened.","by":[],"where":[],"numbers":[],"key":"ticket"}]}`)
		case "/v1/analytics/large":
			w.WriteHeader(http.StatusUnprocessableEntity)
			io.WriteString(w, `{"detail":"the question would read more than it may: 12000000 rows"}`)
		default:
			io.WriteString(w, answered)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, query
}

func TestAsk(t *testing.T) {
	at, query := asked(t)
	contains(t, run(t, 0, "ask", "--url", at), "QUESTION  KEY     BY       WHAT IT TELLS\nrevenue           country  What comes in.\nstory     ticket           What happened.\n")
	contains(t, run(t, 0, "ask", "-o", "json", "--url", at), `"name": "revenue"`)
	contains(t, run(t, 2, "ask", "-o", "csv", "--url", at), "the list of questions has no form")
	contains(t, run(t, 1, "ask", "large", "--url", at), "would read more than it may: 12000000 rows")
	table := run(t, 0, "ask", "revenue", "--url", at)
	contains(t, table, "MONTH    COUNTRY", "GBP       258154.28  9007199254740993  0.2500  25h1m1s", "-       -", `Århus\x1b[2J`, "1.5µs", "these are 3 rows, and there are more")
	run(t, 0, "ask", "revenue", "o/1", "--from", "2010-12-01", "--to", "2011-01-01T00:00:00Z", "--zone", "Europe/London", "--by", "month,country", "--where", "country=GB & FR", "--where", "a=b", "--limit", "7", "--url", at)
	if want := "/v1/analytics/revenue?by=month%2Ccountry&from=2010-12-01&key=o%2F1&limit=7&to=2011-01-01T00%3A00%3A00Z&where=country%3DGB+%26+FR&where=a%3Db&zone=Europe%2FLondon"; *query != want {
		t.Errorf("it asks %s, want %s", *query, want)
	}
	contains(t, run(t, 2, "ask", "a", "b", "c"), `weir ask wants [NAME] [KEY], and was given ["a" "b" "c"]`)
}

func TestHowLongAgo(t *testing.T) {
	now := time.Date(2011, 3, 8, 12, 0, 0, 0, time.UTC)
	for given, want := range map[string]string{"7d": "2011-03-01T12:00:00Z", "90m": "2011-03-08T10:30:00Z", "1w": "2011-03-01T12:00:00Z", "12h": "2011-03-08T00:00:00Z", "2010-12-01": "2010-12-01", "": ""} {
		if got := ago(given, now); got != want {
			t.Errorf("%q is %s, want %s", given, got, want)
		}
	}
}

// Each form says the same, exactly.
func TestFormsOfAnswers(t *testing.T) {
	at, _ := asked(t)
	file := filepath.Join(t.TempDir(), "out")
	form := func(name string) []byte {
		t.Helper()
		run(t, 0, "ask", "revenue", "-o", name, "--out", file, "--url", at)
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if got, want := string(form("csv")), "month,country,currency,revenue,orders,share,wait-p50\n2010-12,GB,GBP,258154.28,9007199254740993,0.25,90061000000000\n2010-12,Århus\x1b[2J,GBP,129077.14,7,,\n2010-12,FR,JPY,50,1,1,1500\n"; got != want {
		t.Errorf("as CSV it is\n%s\nwant\n%s", got, want)
	}
	var was, is any
	if json.Unmarshal([]byte(answered), &was) != nil || json.Unmarshal(form("json"), &is) != nil || !strings.Contains(string(form("json")), "9007199254740993") {
		t.Error("the JSON is not what was answered")
	}
	type row struct {
		Month    *string  `parquet:"month"`
		Country  *string  `parquet:"country"`
		Currency *string  `parquet:"currency"`
		Revenue  *string  `parquet:"revenue"`
		Orders   *int64   `parquet:"orders"`
		Share    *float64 `parquet:"share"`
		Wait     *int64   `parquet:"wait-p50"`
	}
	b := form("parquet")
	rows, err := parquet.Read[row](bytes.NewReader(b), int64(len(b)))
	if err != nil || len(rows) != 3 {
		t.Fatalf("as Parquet it has %d rows (%v)", len(rows), err)
	}
	if r := rows[0]; *r.Month != "2010-12" || *r.Country != "GB" || *r.Currency != "GBP" || *r.Revenue != "258154.28" || *r.Orders != 9007199254740993 || *r.Share != 0.25 || *r.Wait != 90061000000000 {
		t.Errorf("the first row as Parquet is %+v", r)
	}
	if r := rows[1]; r.Share != nil || r.Wait != nil || *r.Country != "Århus\x1b[2J" {
		t.Errorf("the second row as Parquet is %+v", r)
	}
}

func TestChartsOfAnswers(t *testing.T) {
	var a answer
	if err := json.Unmarshal([]byte(answered), &a); err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := a.chart(&b, 60); err != nil {
		t.Fatal(err)
	}
	want := "revenue, by revenue\n" +
		"2010-12 GB            258154.28 GBP  ███████████████████████\n" +
		"2010-12 Århus\\x1b[2J  129077.14 GBP  ███████████▌\n" +
		"2010-12 FR                   50 JPY  ███████████████████████\n"
	if b.String() != want {
		t.Errorf("the chart is\n%s\nwant\n%s", b.String(), want)
	}
	for share, want := range map[float64]string{1: "████████", 0.5: "████", 0.51: "████▏", 0.0001: "▏", 0.99: "███████▉"} {
		if got := barOf(share, 8); got != want {
			t.Errorf("%v is drawn as %s, want %s", share, got, want)
		}
	}
	if err := (&answer{Question: "story"}).chart(&b, 60); err == nil || !strings.Contains(err.Error(), "story has no numbers to draw") {
		t.Errorf("a chart of nothing: %v", err)
	}
}
