package backfill

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// What a file may hold that nobody thought of. Each costs its own lines, or ends the run
// with what is wrong; the rows before and after are read.
func TestHostileCSV(t *testing.T) {
	good := func(visit string) string { return visit + ",2010-12-01T00:00:00Z,7\n" }
	const header = "visit,at,n\n"
	for name, c := range map[string]struct {
		content string
		events  int
		refused string // "line: reason" of each, with ; between
		err     string
	}{
		"nothing":                    {"", 0, "", "is empty"},
		"only a BOM":                 {"\ufeff", 0, "", "holds nothing"},
		"only empty lines":           {"\n\r\n", 0, "", "holds nothing"},
		"only a header":              {header, 0, "", ""},
		"a BOM":                      {"\ufeff" + header + good("a"), 1, "", ""},
		"UTF-16":                     {"\xff\xfev\x00i\x00", 0, "", "UTF-16"},
		"no end of the last line":    {header + strings.TrimSuffix(good("a"), "\n"), 1, "", ""},
		"ends of Windows":            {strings.ReplaceAll(header+good("a")+"\n"+good("b"), "\n", "\r\n"), 2, "", ""},
		"invalid UTF-8":              {header + good("a\xff") + good("b"), 1, "2: column visit is no UTF-8", ""},
		"invalid UTF-8 beside":       {"visit,at,n,x\na,2010-12-01T00:00:00Z,7,\xff\n", 1, "", ""},
		"NUL":                        {header + good("a\x00") + good("b"), 1, "2: column visit holds a NUL byte", ""},
		"a control character":        {header + good("a\x1b[2J") + good("b"), 1, "2: guest.left: key", ""},
		"a missing column":           {"visit,at\na,b\n", 0, "", `no column "n" that the mapping asks for: there are visit, at`},
		"a column twice":             {"visit,at,n,n\n", 0, "", `two columns are called "n"`},
		"the header again":           {header + good("a") + header + good("b"), 2, "3: it is the header again", ""},
		"a line cut off":             {header + good("a") + "b,2010", 1, "3: 2 of 3 fields", ""},
		"a field too many":           {header + "a,2010-12-01T00:00:00Z,7,8\n" + good("b"), 1, "2: 4 of 3 fields", ""},
		"a number with commas":       {header + "a,2010-12-01T00:00:00Z,\"1,234\"\n" + good("b"), 1, `2: guest.left: n: "1,234"`, ""},
		"a number that is none":      {header + "a,2010-12-01T00:00:00Z,NaN\n" + "a,2010-12-01T00:00:00Z,1e3\n" + "a,2010-12-01T00:00:00Z,0x7\n", 0, "2: ;3: ;4: ", ""},
		"a date out of range":        {header + "a,2010-02-30T00:00:00Z,7\n" + "a,10000-01-01T00:00:00Z,7\n" + "a,1066-10-14T00:00:00Z,7\n", 0, "2: ;3: ;4: ", ""},
		"a bare quote":               {header + "a\"b,2010-12-01T00:00:00Z,7\n" + good("b"), 1, "2: bare", ""},
		"a quote that never closes":  {header + good("a") + "\"b,2010-12-01T00:00:00Z,7\n" + good("c") + good("d"), 3, "3: a quote is never closed", ""},
		"a quote that closes wrong":  {header + good("a") + "\"b,2010-12-01T00:00:00Z,7\n" + good("c") + "\"d\"" + good("") + good("e"), 4, "3: a quote is not closed, or line 5", ""},
		"quotes before a wrong line": {header + "x\"y,\"open\n" + good("c") + good("d"), 2, "2: a quote is never closed", ""},
		"a long record":              {header + "\"a\n" + strings.Repeat("b\n", 2000) + good("c"), 1, "2: a quote is not closed within 1000 lines", ""},
		"a field of several lines":   {"visit,at,n,x\na,2010-12-01T00:00:00Z,7,\"1\n\n\"\"2\"\"\r\n3\"\nb,2010-12-01T00:00:00Z,y,\nc,2010-12-01T00:00:00Z,7,\n", 2, "6: guest.left: n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			events, r, err := all(t, write(t, "a.csv", c.content), flat)
			if c.err != "" {
				if err == nil || !strings.Contains(err.Error(), c.err) {
					t.Errorf("it ends with %v, want %q", err, c.err)
				}
				return
			}
			if err != nil || len(events) != c.events {
				t.Errorf("%d events, want %d: %+v, %v", len(events), c.events, r, err)
			}
			check(t, r, c.refused)
		})
	}
}

// check compares the beginnings of what was refused.
func check(t *testing.T, r Report, want string) {
	t.Helper()
	if r.Used+r.LeftOut+r.Refused != r.Rows {
		t.Errorf("rows are lost: %+v", r)
	}
	if want == "" {
		if r.Refused != 0 {
			t.Errorf("refused are %+v", r.List)
		}
		return
	}
	parts := strings.Split(want, ";")
	for i, w := range parts {
		line, reason, _ := strings.Cut(w, ": ")
		if i >= len(r.List) || !strings.Contains(r.List[i].Reason, reason) || line != itoa(r.List[i].Line) {
			t.Errorf("refused are %+v, want %q", r.List, want)
			return
		}
	}
}

func TestLazyQuotes(t *testing.T) {
	mapping := strings.Replace(flat, "format: csv", "format: csv, lazy_quotes: true", 1)
	events, r, err := all(t, write(t, "a.csv", "visit,at,n,x\na\"b,2010-12-01T00:00:00Z,7,7\" plate\n\"c \"d\" e\",2010-12-01T00:00:00Z,7,\nf,2010-12-01T00:00:00Z,7,\n"), mapping)
	if err != nil || len(events) != 3 || r.Refused != 0 || events[0].Key != `a"b` || events[1].Key != `c "d" e` {
		t.Errorf("%d events, %+v, %v", len(events), r, err)
	}
}

// A line of a quarter of a gigabyte is told, and costs no memory to speak of.
func TestAnEndlessLine(t *testing.T) {
	for format, size := range map[string]int64{"csv": 1 << 28, "ndjson": 1 << 26} { // both read lines alike
		path := filepath.Join(t.TempDir(), "a."+format)
		header := "visit,at,n\n"
		if format == "ndjson" {
			header = "{\"visit\":\"x\",\"at\":\"2010-12-01T00:00:00Z\",\"n\":7}\n"
		}
		if err := os.WriteFile(path, []byte(header), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, size); err != nil { // NULs that take no room on the disk
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		events, r, err := all(t, path, strings.Replace(flat, "csv", format, 1))
		runtime.ReadMemStats(&after)
		if err != nil || r.Refused != 1 || r.List[0].Line != 2 || !strings.Contains(r.List[0].Reason, "longer than 8388608 bytes") {
			t.Errorf("%s: %d events, %+v, %v", format, len(events), r, err)
		}
		if n := after.TotalAlloc - before.TotalAlloc; n > 64<<20 {
			t.Errorf("%s: it took %d MB", format, n>>20)
		}
	}
}

func TestDamagedGzip(t *testing.T) {
	var rows strings.Builder
	for range 20_000 {
		rows.WriteString("v,2010-12-01T00:00:00Z,7\n")
	}
	path := write(t, "a.csv.gz", "visit,at,n\n"+rows.String())
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if events, _, err := all(t, path, flat); err != nil || len(events) != 20_000 {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"cut off":            {whole[:len(whole)/2], "ends in the middle of its gzip stream"},
		"cut off at its sum": {whole[:len(whole)-4], "ends in the middle of its gzip stream"},
		"cut off at once":    {whole[:5], "ends in the middle of its gzip stream"},
		"another sum":        {append(append([]byte{}, whole[:len(whole)-8]...), "12345678"...), "damaged"},
		"no gzip":            {[]byte("visit,at,n\nv,2010-12-01T00:00:00Z,7\n"), "is no gzip stream"},
		"garbage behind":     {append(append([]byte{}, whole...), "garbage, garbage"...), "is no gzip stream or a damaged one"},
	} {
		if err := os.WriteFile(path, c.content, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, _, err := all(t, path, flat); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestHostileNDJSON(t *testing.T) {
	good := `{"visit":"a","at":"2010-12-01T00:00:00Z","n":7}` + "\n"
	for content, want := range map[string]string{
		good + "\n" + good:                                                 "",
		"\ufeff" + good:                                                    "",
		strings.TrimSuffix(good, "\n"):                                     "",
		good + "[1]\n" + good:                                              "2: the line is no JSON object",
		good + "null\n" + good:                                             "2: the line is no JSON object",
		good + good[:20] + "\n" + good:                                     "2: the line is no JSON object",
		good + strings.TrimSuffix(good, "\n") + "x\n":                      "2: the line is no JSON object",
		good + strings.Replace(good, "a", "a\xff", 1):                      "2: the line is no JSON object",
		good + strings.Replace(good, "a\"", "a\\u0000\"", 1):               "2: column a",
		good + strings.Repeat("[", 100_000) + "\n" + good:                  "2: the line is no JSON object",
		good + `{"visit":"a","at":"2010-12-01T00:00:00Z","n":{}}` + "\n":   "2: column n is an object",
		good + `{"visit":"a","at":"2010-12-01T00:00:00Z","n":[7]}` + "\n":  "2: column n is a list",
		good + `{"visit":"a","at":"2010-12-01T00:00:00Z","n":null}` + "\n": "2: guest.left: column n is empty or missing",
		good + `{"visit":"a","at":"2010-12-01T00:00:00Z"}` + "\n":          "2: guest.left: column n is empty or missing",
		good + `{"visit":"a","at":"2010-12-01T00:00:00Z","n":7.5}` + "\n":  "2: guest.left: n of",
		good + `{"visit":"a","at":"2010-12-01T00:00:00Z","n":true}` + "\n": "2: guest.left: n: ",
	} {
		_, r, err := all(t, write(t, "a.ndjson", content), strings.Replace(flat, "csv", "ndjson", 1))
		if err != nil || r.Used < 1 {
			t.Errorf("%.200q: %+v, %v", content, r, err)
			continue
		}
		if strings.Contains(content, "u0000") {
			want = "2: column visit holds a NUL byte"
		}
		if check(t, r, want); t.Failed() {
			t.Fatalf("of %.200q", content)
		}
	}
}

const nested = `
file: {format: ndjson, list: things}
rows: [{column: things.count, above: 0}]
key: visit
time: at
events:
  - type: guest.came
    data:
      visit: visit
      guest: guest.id
      town.A: {column: guest.town.a, optional: true}
      things.name: things.name
      things.count: things.count
      things.each: {column: things.each, currency: GBP}
      total: {sum: things.each, times: things.count, currency: GBP}
`

// A list of a record is the rows of a group.
func TestListsOfNDJSON(t *testing.T) {
	line := func(things string) string {
		return `{"visit":"v","at":"2010-12-01T00:00:00Z","guest":{"id":"g","town":{"a":"Rome"}},"things":` + things + "}\n"
	}
	events, r, err := all(t, write(t, "a.ndjson", line(`[{"name":"cup","count":2,"each":2.50},{"name":"pot","count":0},{"name":"fork","count":1,"each":"0.1"}]`)+
		line(`[]`)+line(`[{"name":"cup","count":1,"each":1e3}]`)+line(`{}`)+line(`[7]`)+line(`[{"name":"cup","count":1,"each":1}]`)), nested)
	if err != nil || len(events) != 2 {
		t.Fatalf("%d events, %+v, %v", len(events), r, err)
	}
	v := events[0].Value.(came)
	if len(v.Things) != 2 || v.Things[1] != (thing{"fork", 1, coins{"GBP", 10}}) || v.Total.Minor != 510 || v.Guest != "g" || v.Town.A != "Rome" {
		t.Errorf("the value is %+v", v)
	}
	check(t, r, "2: its list things is empty;3: things.each: \"1e3\";4: things is no list;5: things.count")
}

// Records end where encoding/csv has them end, in all that it can read.
func TestRecordsAreThoseOfCSV(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	compared := 0
	for range 40_000 {
		b := make([]byte, 1+random.IntN(14))
		for i := range b {
			b[i] = `a"",`[random.IntN(4)]
			if n := random.IntN(8); n < 2 {
				b[i] = "\n\r"[n]
			}
		}
		lazy := random.IntN(2) == 0
		c := csv.NewReader(bytes.NewReader(b))
		c.LazyQuotes, c.FieldsPerRecord = lazy, -1
		want, err := c.ReadAll()
		l, wrong := newLines(bytes.NewReader(b), false)
		if wrong != nil {
			t.Fatal(wrong)
		}
		p := &plan{Mapping: &Mapping{File: Format{Format: "csv", NoHeader: true, Columns: []string{"x"}, LazyQuotes: lazy}}}
		table, wrong := newTable(l, p)
		if wrong != nil {
			t.Fatal(wrong)
		}
		var got [][]string
		refusals, open := 0, false
		for {
			fields, err := table.record()
			var bad *refused
			if errors.As(err, &bad) {
				refusals++
				open = open || strings.Contains(err.Error(), "never closed")
				continue
			}
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, slices.Clone(fields))
		}
		if err != nil {
			if refusals == 0 {
				t.Fatalf("%q, lazy %t: %v, and nothing is refused: %q", b, lazy, err, got)
			}
			continue
		}
		if lazy && open { // encoding/csv has the file's end close it
			continue
		}
		compared++
		if refusals > 0 || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q, lazy %t: %q and %d refused, want %q", b, lazy, got, refusals, want)
		}
	}
	if compared < 2_000 {
		t.Errorf("%d were compared", compared)
	}
}
