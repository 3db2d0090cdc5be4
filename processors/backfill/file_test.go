package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

const visits = head + `v1,g1,2010-07-01 08:26,cup,2,2.50
v1,g1,2010-07-01 08:27,"plate, ""blue""",1,0.05
v2,,2010-12-01 09:00,cup,-1,2.50
v2,,2010-12-01 09:00,fork,3,1
`

func TestAnEventIsWhole(t *testing.T) {
	path := write(t, "visits.csv", visits)
	f, err := opened(t, path, things)
	if err != nil {
		t.Fatal(err)
	}
	events, err := from(t, f, 0, 10)
	if err != nil || len(events) != 4 {
		t.Fatalf("%d events, %v, %+v", len(events), err, f.Report())
	}
	e := events[0]
	at := time.Date(2010, 7, 1, 7, 26, 0, 0, time.UTC) // clocks were an hour ahead
	if e.ID != f.Digest()[:32]+"-0" || e.Type != "guest.came" || e.Version != 1 || e.Source != "backfill/visits.csv" || e.Kind != "visit" || e.Key != "v1" ||
		e.Correlation != "v1" || !e.Time.Equal(at) || e.Lane != "" || e.Topic != "file/"+f.Digest()[:16] || e.Partition != 0 || e.Offset != 0 {
		t.Errorf("the entry is %+v", e.Entry)
	}
	total := coins{"GBP", 505}
	want := came{Visit: "v1", Guest: "g1", Name: "Mr v1", Total: &total, Things: []thing{{"cup", 2, coins{"GBP", 250}}, {`plate, "blue"`, 1, coins{"GBP", 5}}}}
	if !reflect.DeepEqual(e.Value, want) {
		t.Errorf("the value is %+v, want %+v", e.Value, want)
	}
	if s := string(e.Data); strings.Contains(s, "Mr v1") || !strings.Contains(s, `"guest":"g1"`) {
		t.Errorf("data for all to read are %s", s)
	}
	if !reflect.DeepEqual(e.About, map[string]string{"visit": "v1", "guest": "g1"}) {
		t.Errorf("it is about %v", e.About)
	}
	if len(e.Changes) != 2 || e.Changes[0].View != "visits" || e.Changes[1].Key != "g1" || len(e.Starts) != 1 || !e.Starts[0].Due.Equal(at.Add(time.Hour)) {
		t.Errorf("it says %+v, and begins %+v", e.Changes, e.Starts)
	}
	if e := events[3]; e.Value != (left{"v2", 1}) || e.Offset != 3 || !reflect.DeepEqual(e.Ends, []string{"stay"}) || events[2].Value.(came).Guest != "guest-v2" {
		t.Errorf("the last is %+v", e)
	}
	if r := f.Report(); r.Rows != 4 || r.Used != 3 || r.LeftOut != 1 || r.Left[0] != (Left{"count is above 0", 1}) || r.Groups != 2 || r.Events != 4 || r.Refused != 0 {
		t.Errorf("the report is %+v", r)
	}
}

// From whatever offset and in whatever batches it is read, a file gives the same events.
func TestAFileIsReadOnFromAnywhere(t *testing.T) {
	var b strings.Builder
	b.WriteString(head)
	for i := range 40 {
		fmt.Fprintf(&b, "v%d,g,2010-12-01 09:00,cup,%d,1.00\nv%d,g,2010-12-01 09:00,fork,x,1.00\n", i, i%3, i)
	}
	f, err := opened(t, write(t, "visits.csv.gz", b.String()), things)
	if err != nil {
		t.Fatal(err)
	}
	want, err := from(t, f, 0, 1000)
	if err != nil || len(want) != 52 {
		t.Fatalf("%d events, %v", len(want), err)
	}
	report := f.Report()
	for offset := range int64(53) {
		for _, size := range []int{1, 5, 52} {
			got, err := from(t, f, offset, size)
			if err != nil || len(got) != len(want)-int(offset) || len(got) > 0 && !reflect.DeepEqual(got, want[offset:]) {
				t.Fatalf("from %d by %d: %d events, %v", offset, size, len(got), err)
			}
			if r := f.Report(); !reflect.DeepEqual(r, report) {
				t.Fatalf("from %d the report is %+v, was %+v", offset, r, report)
			}
		}
	}
	if _, err := from(t, f, 53, 5); err == nil || !strings.Contains(err.Error(), "gives 52 events") {
		t.Errorf("beyond its end: %v", err)
	}
}

func TestRefusedRowsAreCountedAndListed(t *testing.T) {
	f, err := opened(t, write(t, "visits.csv", visits+"v3,g,2010-12-01 09:00,cup,1,x\nv4,g,2010-12-01 09:00,cup,y,1\nv5,g,2010-12-01 09:00,cup,1,1\nv6,g,yesterday,cup,1,1\nv6,g,,cup,1,1\n"), things)
	if err != nil {
		t.Fatal(err)
	}
	f.List = 2
	if events, err := from(t, f, 0, 10); err != nil || len(events) != 4+2 {
		t.Errorf("%d events, %v", len(events), err)
	}
	r := f.Report()
	want := []Refusal{{6, 1, `each: "x" is no number in plain digits`}, {7, 1, `count: "y" is no number in plain digits`}}
	if r.Refused != 4 || r.Rows != 9 || r.Used != 4 || !reflect.DeepEqual(r.List, want) { // both rows of v6 go with its time
		t.Errorf("the report is %+v, want of %+v", r, want)
	}
	f.Strict = true
	_, err = from(t, f, 0, 10)
	if err == nil || !strings.Contains(err.Error(), "visits.csv: line 6: each: ") {
		t.Errorf("a strict run: %v", err)
	}
}

func TestTheSameGroupInTwoPlaces(t *testing.T) {
	path := write(t, "visits.csv", head+"v1,g,2010-12-01 09:00,cup,1,1\nv2,g,2010-12-01 09:00,cup,1,1\nv3,g,2010-12-01 09:00,cup,1,1\nv1,g,2010-12-01 09:00,cup,1,2\n")
	_, _, err := all(t, path, things)
	if err == nil || !strings.Contains(err.Error(), `line 5: the group of visit "v1" goes on that line 2 began`) {
		t.Errorf("it is %v", err)
	}
	events, _, err := all(t, path, strings.Replace(things, "agree: guest", "again: apart", 1))
	if err != nil || len(events) != 8 {
		t.Errorf("apart they are %d, %v", len(events), err)
	}
	events, _, err = all(t, path, strings.Replace(things, "agree: guest", "rows: all", 1))
	if err != nil || len(events) != 6 || len(events[0].Value.(came).Things) != 2 || events[0].Value.(came).Total.Minor != 300 {
		t.Errorf("all together they are %d, %v", len(events), err)
	}
	_, r, err := all(t, write(t, "visits.csv", head+"v1,a,2010-12-01 09:00,cup,1,1\nv1,b,2010-12-01 09:00,cup,1,1\n"), things)
	if err != nil || r.Refused != 1 || r.List[0].Reason != `guest is "b" here and "a" from line 2 on, in one group` {
		t.Errorf("of two guests: %+v, %v", r, err)
	}
}

func TestAFileThatChangesWhileItIsRead(t *testing.T) {
	content := head + strings.Repeat("v1,g,2010-12-01 09:00,cup,1,1\n", 3)
	for name, change := range map[string]func(path string) error{
		"grows": func(path string) error { return os.WriteFile(path, []byte(content+content), 0o600) },
		"is another of the same size and time": func(path string) error {
			s, err := os.Stat(path)
			return errors.Join(err, os.WriteFile(path, []byte(strings.Replace(content, "cup", "pot", 3)), 0o600), os.Chtimes(path, s.ModTime(), s.ModTime()))
		},
	} {
		path := write(t, "visits.csv", content)
		f, err := opened(t, path, things)
		if err != nil {
			t.Fatal(err)
		}
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if events, err := from(t, f, 0, 100); err == nil || !strings.Contains(err.Error(), "has changed") || len(events) > 0 {
			t.Errorf("a file that %s: %v, %d events", name, err, len(events))
		}
	}
}

func TestARunStops(t *testing.T) {
	f, err := opened(t, write(t, "visits.csv", visits), things)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range f.Batches(ctx, 0, 1) {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
	}
	for range f.Batches(t.Context(), 0, 1) {
		break // and nothing more comes
	}
}

// An event that no row can keep, or whose key is another one, is refused.
func TestEventsAreHeldToTheirTypes(t *testing.T) {
	at := "2010-12-01T00:00:00Z"
	for line, want := range map[string]string{
		"v," + at + ",7":                    "",
		"v," + at + ",7.0":                  "",
		"v," + at + ",7.5":                  "more than 0 digits after the point",
		"v," + at + ",":                     "column n is empty",
		"v,1600-01-01T00:00:00Z,7":          "out of the years",
		"v,2010-13-01T00:00:00Z,7":          "is no time like",
		"v,9999-01-01T00:00:00Z,7":          "out of the years",
		"," + at + ",7":                     "column visit is empty",
		"\"a\nb\"," + at + ",7":             "holds control characters",
		"v," + at + ",99999999999999999999": "more than the 18 digits",
	} {
		events, r, err := all(t, write(t, "a.csv", "visit,at,n\n"+line+"\n"), flat)
		switch {
		case err != nil:
			t.Errorf("%q: %v", line, err)
		case want == "" && (len(events) != 1 || events[0].Value != (left{"v", 7})):
			t.Errorf("%q: %+v", line, r)
		case want != "" && (len(events) != 0 || r.Refused != 1 || !strings.Contains(r.List[0].Reason, want)):
			t.Errorf("%q is refused as %+v, want %q", line, r, want)
		}
	}
	_, r, err := all(t, write(t, "a.csv", "visit,at,n\nv,"+at+",7\n"), strings.Replace(flat, "key: visit", "key: n", 1))
	if err != nil || r.Refused != 1 || !strings.Contains(r.List[0].Reason, `its key is "v", and the mapping's "7"`) {
		t.Errorf("another key: %+v, %v", r, err)
	}
	_, r, err = all(t, write(t, "a.csv", "visit,at,n\nv,"+at+",300\n"), `
file: {format: csv}
key: visit
time: at
events:
  - {type: guest.came, data: {visit: visit, age: n}}
`)
	if err != nil || r.Refused != 1 || !strings.Contains(r.List[0].Reason, "guest.came") {
		t.Errorf("an age of 300: %+v, %v", r, err)
	}
}

// Every form that a field can have.
func TestForms(t *testing.T) {
	const mapping = `
file: {format: csv, delimiter: ";", point: ",", thousands: "."}
group: {by: visit}
key: visit
correlation: {text: "{{{visit}}}-{code}"}
time: {column: at, layout: unix}
events:
  - type: guest.came
    data:
      visit: visit
      born: {column: born, layout: 02/01/2006, zone: UTC, optional: true}
      member: yes
      share: x
      town.B: {constant: Rome}
      words: words
      total: {sum: cents, currency_from: code}
      age: {sum: x, round: half-even}
  - type: guest.left
    where: [{column: code, is: GBP}]
    data: {visit: visit}
`
	rows := func(x string) string {
		return "visit;at;born;yes;x;words;cents;code\nv;1291161600;24/12/1989;true;" + x + ";one;0,125;KWD\nv;1291161600;;true;1;two;2,5;KWD\n"
	}
	_, r, err := all(t, write(t, "a.csv", rows("1.234,50")), mapping)
	if err != nil || r.Refused != 2 || len(r.List) != 1 || !strings.Contains(r.List[0].Reason, "age") { // 1235 is none
		t.Errorf("refused are %+v, %v", r, err)
	}
	events, r, err := all(t, write(t, "a.csv", rows("12,50")), mapping)
	if err != nil || len(events) != 1 {
		t.Fatalf("%d events, %+v, %v", len(events), r, err)
	}
	total := coins{"KWD", 2625}
	want := came{Visit: "v", Born: time.Date(1989, 12, 24, 0, 0, 0, 0, time.UTC), Member: true, Share: 12.5, Words: []string{"one", "two"}, Total: &total, Age: 13}
	want.Town.B = "Rome"
	if !reflect.DeepEqual(events[0].Value, want) || events[0].Correlation != "{v}-KWD" || events[0].Time.Unix() != 1291161600 {
		b, _ := json.Marshal(events[0].Value)
		t.Errorf("the value is %s, of %s", b, events[0].Correlation)
	}
}
