package backfill

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// What a mapping says wrongly is told by the names of its keys.
func TestWrongMappings(t *testing.T) {
	path := write(t, "visits.csv", visits)
	for _, c := range []struct{ from, to, want string }{
		{"key: visit\n", "key: visit\nkeys: x\n", `line 7: "keys" is no key of a mapping: there are file, rows,`},
		{"above: 0", "over: 0", `"rows[0].over" is no key`},
		{"{count: rows}", "{counts: rows}", `"events[1].data.count.counts" is no key`},
		{"key: visit\n", "key: visit\nkey: guest\n", "key is there twice"},
		{"count: count\n", "count: count\n      things.count: each\n", "events[0].data.things.count is there twice"},
		{"format: csv", "format: [csv]", "file.format has to be one value"},
		{"format: csv", "format: csv, trim: 1", "file.trim has to be true or false"},
		{"format: csv", "format: xlsx", `say csv, ndjson or parquet`},
		{"format: csv", "format: parquet, delimiter: ;", "are of csv alone"},
		{"format: csv", "format: csv, list: things", "csv has no lists"},
		{"format: csv", "format: csv, columns: [a]", "no_header"},
		{"format: csv", "format: csv, delimiter: ab", "is not one character"},
		{"format: csv", "format: csv, point: '1'", "no digit"},
		{"format: csv", "format: csv, thousands: .", "the same character"},
		{"key: visit\n", "key: &a visit\n", "anchors are not known"},
		{"key: visit\n", "", "it has no key"},
		{"key: visit\n", "key: {column: visit, optional: true}\n", "never left out"},
		{"time: {column: at, layout: 2006-01-02 15:04, zone: Europe/London}", "", "it has no time"},
		{", zone: Europe/London", "", "has no offset: say zone"},
		{"Europe/London", "Mars/Olympus", `no time zone "Mars/Olympus"`},
		{"2006-01-02 15:04", "yyyy-mm-dd", "has no year"},
		{"2006-01-02 15:04", "2006-01-02 15:04 MST", "abbreviation"},
		{"above: 0", "above: much", `above: "much" is no number`},
		{", above: 0", "", "it asks nothing"},
		{"above: 0", "matches: '('", "pattern"},
		{"by: visit", "rows: all", "names no column"},
		{"by: visit", "by: visit, rows: some", "say consecutive or all"},
		{"by: visit", "by: visit, rows: all, again: apart", "nothing comes again"},
		{"guest.came", "guest.went", "no such type of event"},
		{"guest.left\n", "guest.noted\n", "decider's own"},
		{"things.name: thing", "things.named: thing", `no field "named": there are name, count, each`},
		{"things.name: thing", "thing.name: thing", `there is no field "thing": there are visit, guest`},
		{"things.name: thing", "things: thing", "it is nested"},
		{"things.name: thing", "guest.name: thing", `"name" is no field`},
		{"things.count: count", "things.count: {count: rows}", "sums and counts are of the whole group"},
		{"each, currency: GBP}\n      total", "each}\n      total", "say its currency"},
		{"currency: GBP}\n      total", "currency: POUNDS}\n      total", "not an ISO 4217 code"},
		{"currency: GBP}\n      total", "currency: GBP, currency_from: x}\n      total", "say its currency"},
		{"{sum: each, times: count, currency: GBP}", "{sum: each, column: each, currency: GBP}", "exactly one of"},
		{"{sum: each, times: count, currency: GBP}", "{column: each, times: count, currency: GBP}", "times is of a sum"},
		{"visit: visit, count: {count: rows}", "visit: {sum: visit}", "a sum is money, or a whole number"},
		{"{text: \"Mr {visit}\"}", "{text: \"Mr {visit\"}", "a brace without a column"},
		{"{text: \"Mr {visit}\"}", "{text: \"Mr visit}\"}", "closes a brace"},
		{"{text: \"Mr {visit}\"}", "{text: x, layout: 2006}", "layout and zone are of times"},
		{"{text: \"Mr {visit}\"}", "{column: guest, round: half-even}", "round is half-even, of money"},
		{"{text: \"Mr {visit}\"}", "{column: guest, empty: x, optional: true}", "not both"},
		{"{text: \"Mr {visit}\"}", "{text: x, empty: y}", "are of columns"},
		{"{text: \"Mr {visit}\"}", "nick", `no column "nick" that the mapping asks for: there are visit, guest`},
	} {
		text := strings.Replace(things, c.from, c.to, 1)
		if text == things {
			t.Fatalf("the mapping has no %q", c.from)
		}
		m, err := ParseMapping([]byte(text))
		if err == nil {
			b, topology := club(t)
			_, err = Open(path, m, b, topology)
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q for %q: %v, want %q", c.to, c.from, err, c.want)
		}
	}
	for text, want := range map[string]string{"": "is empty", "[]": "has to be a mapping", "a: b\n---\n": "second document", "\t": "yaml", "events:\n- {type: x, data: []}": "mapping of names"} {
		if _, err := ParseMapping([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	if _, err := ReadMapping(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Errorf("a mapping that is not there: %v", err)
	}
}

// The examples of the documentation are mappings.
func TestTheDocumentedMappings(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(string(text), "```yaml\n")
	if len(parts) < 3 {
		t.Fatalf("%d examples", len(parts)-1)
	}
	real, err := os.ReadFile("../../bench/retail/orders.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i, part := range parts[1:] {
		example, _, _ := strings.Cut(part, "```")
		if _, err := ParseMapping([]byte(example)); err != nil {
			t.Errorf("example %d: %v", i+1, err)
		}
		if i == 0 && !strings.HasSuffix(string(real), example) {
			t.Error("the first example is not bench/retail/orders.yaml")
		}
	}
}
