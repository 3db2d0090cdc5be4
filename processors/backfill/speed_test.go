package backfill

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

type flatRow struct {
	Visit string `parquet:"visit"`
	Guest string `parquet:"guest"`
	At    string `parquet:"at"`
	Thing string `parquet:"thing,dict"`
	Count int64  `parquet:"count"`
	Each  int64  `parquet:"each,decimal(2:18)"`
}

// rowsOf are visits with so many things each.
func rowsOf(visits, things int) (out []flatRow) {
	for v := range visits {
		at := time.Unix(1291161600+int64(v), 0).UTC().Format("2006-01-02 15:04")
		for i := range things {
			out = append(out, flatRow{fmt.Sprintf("v%07d", v), fmt.Sprintf("g%d", v%1000), at, fmt.Sprintf("thing %d", (v*7+i)%500), int64(1 + i%5), int64(99 + 10*i)})
		}
	}
	return out
}

func speedFile(b testing.TB, format string, rows []flatRow) string {
	b.Helper()
	var out bytes.Buffer
	switch format {
	case "csv":
		out.WriteString(head)
		for _, r := range rows {
			fmt.Fprintf(&out, "%s,%s,%s,\"%s\",%d,%d.%02d\n", r.Visit, r.Guest, r.At, r.Thing, r.Count, r.Each/100, r.Each%100)
		}
	case "ndjson":
		for _, r := range rows {
			fmt.Fprintf(&out, `{"visit":%q,"guest":%q,"at":%q,"thing":%q,"count":%d,"each":%d.%02d}`+"\n", r.Visit, r.Guest, r.At, r.Thing, r.Count, r.Each/100, r.Each%100)
		}
	case "parquet":
		w := parquet.NewGenericWriter[flatRow](&out, parquet.Compression(&parquet.Snappy), parquet.MaxRowsPerRowGroup(100_000))
		if _, err := w.Write(rows); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
	}
	return write(b, "a."+format, out.String())
}

// BenchmarkFile reads the same rows in each format: an event of one row, or two of ten.
func BenchmarkFile(b *testing.B) {
	for _, shape := range []struct {
		name           string
		visits, things int
		mapping        string
	}{
		{"rows", 100_000, 1, strings.ReplaceAll(strings.Replace(flat, "layout: rfc3339", "layout: 2006-01-02 15:04, zone: Europe/London", 1), "count: n", "count: count")},
		{"tens", 10_000, 10, things},
	} {
		rows := rowsOf(shape.visits, shape.things)
		for _, format := range []string{"csv", "ndjson", "parquet"} {
			b.Run(shape.name+"/"+format, func(b *testing.B) {
				path := speedFile(b, format, rows)
				club, topology := club(b)
				m := parse(b, strings.Replace(shape.mapping, "csv", format, 1))
				info, err := os.Stat(path)
				if err != nil {
					b.Fatal(err)
				}
				b.SetBytes(info.Size())
				b.ReportAllocs()
				events := 0
				for b.Loop() {
					f, err := Open(path, m, club, topology)
					if err != nil {
						b.Fatal(err)
					}
					for batch, err := range f.Batches(b.Context(), 0, 1000) {
						if err != nil {
							b.Fatal(err)
						}
						events += len(batch.Events)
					}
				}
				b.ReportMetric(float64(events)/b.Elapsed().Seconds(), "events/s")
				b.ReportMetric(float64(len(rows)*b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
}

// A file is read in as much memory as a batch takes, however long it is.
func TestMemoryDoesNotGrow(t *testing.T) {
	peak := func(visits int) (most uint64) {
		path := filepath.Join(t.TempDir(), "a.csv")
		out, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(out, head)
		for v := range visits {
			fmt.Fprintf(out, "v%d,g,2010-12-01 09:00,%s,1,1.00\n", v, strings.Repeat("x", 1000))
		}
		if err := out.Close(); err != nil {
			t.Fatal(err)
		}
		f, err := opened(t, path, strings.Replace(things, "agree: guest", "again: apart", 1))
		if err != nil {
			t.Fatal(err)
		}
		for _, err := range f.Batches(t.Context(), 0, 1000) {
			if err != nil {
				t.Fatal(err)
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			most = max(most, m.HeapAlloc)
		}
		return most
	}
	short, long := peak(2_000), peak(20_000)
	if long > short+4<<20 {
		t.Errorf("2,000 groups take %d kB, 20,000 take %d kB", short>>10, long>>10)
	}
}
