package backfill

import (
	"compress/gzip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// The files are of a club, whose guests come and take things.
type (
	visitID string
	guestID string
)

func (visitID) Kind() string      { return "visit" }
func (id visitID) String() string { return string(id) }
func (guestID) Kind() string      { return "guest" }
func (id guestID) String() string { return string(id) }

type coins struct {
	Code  string `json:"code"`
	Minor int64  `json:"minor"`
}

func (c coins) Amount() (minor int64, currency string) { return c.Minor, c.Code }

type (
	thing struct {
		Name  string `json:"name"`
		Count int64  `json:"count"`
		Each  coins  `json:"each"`
	}
	came struct {
		Visit  visitID               `json:"visit"`
		Guest  guestID               `json:"guest"`
		Name   string                `json:"name" weir:"personal"`
		Town   struct{ A, B string } `json:"town"`
		Born   time.Time             `json:"born"`
		Member bool                  `json:"member"`
		Share  float64               `json:"share"`
		Age    uint8                 `json:"age"`
		Things []thing               `json:"things"`
		Words  []string              `json:"words"`
		Total  *coins                `json:"total"`
	}
	left struct {
		Visit visitID `json:"visit"`
		Count int     `json:"count"`
	}
	heard struct {
		Visit visitID `json:"visit"`
		Guest guestID `json:"guest"`
	}
	noted struct {
		Visit visitID `json:"visit"`
	}
)

func (e came) Key() streams.Key  { return e.Visit }
func (e left) Key() streams.Key  { return e.Visit }
func (e heard) Key() streams.Key { return e.Visit }
func (e noted) Key() streams.Key { return e.Visit }

func club(t testing.TB) (*business.Business, *streams.Topology) {
	t.Helper()
	type none struct{}
	door := streams.Define("door", visitID(""), func(s none, _ streams.Event) none { return s },
		streams.OnCommand("come", func(none, came, streams.Input) streams.Decision { return streams.Nothing() }, came{}, left{}, noted{}))
	b := &business.Business{Name: "club", Title: "A club", Owner: "door",
		Facts: []streams.Fact{streams.NewFact[came]("guest.came"), streams.NewFact[left]("guest.left"), streams.NewFact[heard]("guest.heard", streams.External())},
		Services: []business.Service{{Name: "door", Deciders: []*streams.Decider{door}, Facts: []streams.Fact{streams.NewFact[noted]("guest.noted", streams.Private())},
			Views: []*business.View{{Name: "visits", One: "visit", Key: visitID(""), Path: "/v1/visits", Title: "Visit", History: true, Begins: []streams.Event{came{}}, States: []string{"came", "left"},
				From: []business.Source{business.On(func(e came, m business.Moment) business.Set {
					return business.Set{"came_at": m.At, "guest": string(e.Guest)}
				}), business.Takes[left]("left_at")}},
				{Name: "guests", One: "guest", Key: guestID(""), Path: "/v1/guests", Title: "Guest", History: true, Begins: []streams.Event{came{}},
					From: []business.Source{business.OnOther(func(e came, m business.Moment) (guestID, business.Set) {
						return e.Guest, business.Set{"visits": business.Plus(1), "last_at": m.At}
					})}}}}},
		Sagas: []streams.Saga{{Name: "stay", Starts: came{}, Ends: []streams.Event{left{}}, Within: time.Hour}}}
	topology, err := b.Topology()
	if err != nil {
		t.Fatal(err)
	}
	return b, topology
}

// things is the mapping of most tests: things of a visit are rows that follow one another.
const things = `
file: {format: csv}
rows:
  - {column: count, above: 0}
group: {by: visit, agree: guest}
key: visit
time: {column: at, layout: 2006-01-02 15:04, zone: Europe/London}
events:
  - type: guest.came
    data:
      visit: visit
      guest: {column: guest, empty: "guest-{visit}"}
      name: {text: "Mr {visit}"}
      things.name: thing
      things.count: count
      things.each: {column: each, currency: GBP}
      total: {sum: each, times: count, currency: GBP}
  - type: guest.left
    data: {visit: visit, count: {count: rows}}
`

const head = "visit,guest,at,thing,count,each\n"

const flat = `
file: {format: csv}
key: visit
time: {column: at, layout: rfc3339}
events:
  - {type: guest.left, data: {visit: visit, count: n}}
`

// write writes a file, compressed if it is called so.
func write(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if strings.HasSuffix(name, ".gz") {
		var b strings.Builder
		z := gzip.NewWriter(&b)
		if _, err := z.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		content = b.String()
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func parse(t testing.TB, mapping string) *Mapping {
	t.Helper()
	m, err := ParseMapping([]byte(mapping))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func opened(t testing.TB, path, mapping string) (*File, error) {
	t.Helper()
	b, topology := club(t)
	return Open(path, parse(t, mapping), b, topology)
}

// all reads a whole file.
func all(t testing.TB, path, mapping string) (events []projection.Event, r Report, err error) {
	t.Helper()
	f, err := opened(t, path, mapping)
	if err != nil {
		return nil, r, err
	}
	events, err = from(t, f, 0, 7)
	return events, f.Report(), err
}

func from(t testing.TB, f *File, offset int64, size int) (events []projection.Event, err error) {
	t.Helper()
	next := offset
	for b, err := range f.Batches(t.Context(), offset, size) {
		if err != nil {
			return events, err
		}
		if b.Move.From != next || b.Move.Next != next+int64(len(b.Events)) || len(b.Events) == 0 || len(b.Events) > size || b.Move.Topic != f.Topic() || b.Read > f.Size() {
			t.Errorf("batch of %d moves %+v, want from %d", len(b.Events), b.Move, next)
		}
		next = b.Move.Next
		events = append(events, b.Events...)
	}
	return events, nil
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
