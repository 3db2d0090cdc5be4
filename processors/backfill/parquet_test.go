package backfill

import (
	"bytes"
	"math"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
)

type listedThing struct {
	Name  string  `parquet:"name"`
	Count int32   `parquet:"count"`
	Each  float64 `parquet:"each"`
}

type record struct {
	Visit  string            `parquet:"visit"`
	At     time.Time         `parquet:"at,timestamp(microsecond)"`
	Guest  *string           `parquet:"guest,optional"`
	Born   int32             `parquet:"born,date"`
	Member bool              `parquet:"member"`
	Share  float32           `parquet:"share"`
	Age    uint8             `parquet:"age"`
	Deal   int64             `parquet:"deal,decimal(4:18)"`
	Fixed  [9]byte           `parquet:"fixed,decimal(2:20)"`
	Old    struct{ N int64 } `parquet:"old"`
	Things []listedThing     `parquet:"things,list"`
	Plain  []listedThing     `parquet:"plain"`
}

func parquetFile(t testing.TB, rows []record, options ...parquet.WriterOption) string {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[record](&b, options...)
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return write(t, "a.parquet", b.String())
}

const columnar = `
file: {format: parquet, list: things}
key: visit
time: at
events:
  - type: guest.came
    data:
      visit: visit
      guest: {column: guest, empty: "nobody"}
      born: {column: born, layout: 2006-01-02, zone: UTC}
      member: member
      share: share
      age: age
      town.A: old.N
      things.name: things.name
      things.count: things.count
      things.each: {column: things.each, currency: GBP}
      total: {column: deal, currency: GBP}
  - type: guest.left
    data: {visit: visit, count: fixed}
`

func someRecords(n int) (out []record) {
	guest := "g"
	for i := range n {
		r := record{Visit: "v" + itoa(int64(i)), At: time.Unix(1291161600, 123456000).UTC(), Born: 7, Member: true, Share: 0.1, Age: 200, Deal: -12_3400, Fixed: [9]byte{8: 200},
			Things: []listedThing{{"cup", 2, 2.55}, {"fork", 1, 0.1}}}
		r.Old.N = math.MaxInt64
		if i%2 == 1 {
			r.Guest, r.Things = &guest, nil
		}
		out = append(out, r)
	}
	return out
}

func TestParquet(t *testing.T) {
	path := parquetFile(t, someRecords(1000), parquet.PageBufferSize(1000), parquet.MaxRowsPerRowGroup(300), parquet.Compression(&parquet.Snappy))
	events, r, err := all(t, path, columnar)
	if err != nil || len(events) != 1000 || r.Rows != 1500 || r.Refused != 500 || r.List[0] != (Refusal{2, 1, "its list things is empty or missing"}) {
		t.Fatalf("%d events, %+v, %v", len(events), r, err)
	}
	total := coins{"GBP", -1234}
	want := came{Visit: "v998", Guest: "nobody", Born: time.Date(1970, 1, 8, 0, 0, 0, 0, time.UTC), Member: true, Share: 0.1, Age: 200, Total: &total,
		Things: []thing{{"cup", 2, coins{"GBP", 255}}, {"fork", 1, coins{"GBP", 10}}}}
	want.Town.A = "9223372036854775807"
	if e := events[998]; !reflect.DeepEqual(e.Value, want) || !e.Time.Equal(time.Unix(1291161600, 123456000)) {
		t.Errorf("the value is %+v, at %s", e.Value, e.Time)
	}
	if e := events[999]; e.Value != (left{"v998", 2}) {
		t.Errorf("the value is %+v", e.Value)
	}
	plain := strings.ReplaceAll(strings.Replace(columnar, "list: things", "list: plain", 1), ": things.", ": plain.")
	plain = strings.Replace(plain, "{column: things.each", "{column: plain.each", 1)
	rows := someRecords(2)
	rows[0].Plain = rows[0].Things
	if events, r, err := all(t, parquetFile(t, rows), plain); err != nil || len(events) != 2 || len(events[0].Value.(came).Things) != 2 {
		t.Errorf("a list without groups: %d events, %+v, %v", len(events), r, err)
	}
	for mapping, want := range map[string]string{
		strings.Replace(columnar, ", list: things", "", 1):           "is in a list",
		strings.Replace(columnar, "list: things", "list: others", 1): "is in a list",
		strings.Replace(columnar, "member: member", "member: x", 1):  `no column "x" that the mapping asks for: there are `,
	} {
		if _, _, err := all(t, path, mapping); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A damaged file is an error, or gives what its sums cannot tell; it ends no process.
func TestDamagedParquet(t *testing.T) {
	path := parquetFile(t, someRecords(200), parquet.PageBufferSize(1000), parquet.Compression(&parquet.Gzip))
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := func(content []byte) error {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		_, _, err := all(t, path, columnar)
		return err
	}
	for _, n := range []int{1, 4, 8, 100, len(whole) / 2, len(whole) - 9, len(whole) - 1} {
		if err := read(whole[:n]); err == nil || !strings.Contains(err.Error(), "no whole Parquet file") && !strings.Contains(err.Error(), "damaged") {
			t.Errorf("%d bytes of %d: %v", n, len(whole), err)
		}
	}
	if err := read([]byte("visit,at,n\nv,2010-12-01T00:00:00Z,7\n")); err == nil {
		t.Error("CSV is taken for Parquet")
	}
	random := rand.New(rand.NewPCG(1, 2))
	failed := 0
	for range 300 {
		b := bytes.Clone(whole)
		for range 1 + random.IntN(4) {
			b[random.IntN(len(b))] = byte(random.Uint32())
		}
		if read(b) != nil {
			failed++
		}
	}
	if failed < 100 {
		t.Errorf("%d of 300 damaged files were found to be so", failed)
	}
}

func TestDecimalsOfParquet(t *testing.T) {
	for _, c := range []struct {
		value parquet.Value
		scale int
		want  string
	}{
		{parquet.Int32Value(-5), 2, "-0.05"}, {parquet.Int64Value(math.MinInt64), 0, "-9223372036854775808"}, {parquet.ByteArrayValue([]byte{0xff}), 1, "-0.1"},
		{parquet.ByteArrayValue([]byte{0x01, 0x00}), 2, "2.56"}, {parquet.ByteArrayValue(nil), 2, "0.00"},
		{parquet.FixedLenByteArrayValue([]byte{0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0}), 0, "-4722366482869645213696"},
	} {
		if got := decimalText(unscaled(c.value), c.scale); got != c.want {
			t.Errorf("%v of %d is %s, want %s", c.value, c.scale, got, c.want)
		}
	}
	var old [3]uint32
	old[2] = 2440589 // a day after the first of 1970
	old[0] = 5
	if got := plainText(parquet.Int96Value(old)); got != "1970-01-02T00:00:00.000000005Z" {
		t.Errorf("a time of 96 bits is %s", got)
	}
}
