//go:build real

package clickhouse

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

func TestSmoke(t *testing.T) {
	l := projectiontest.NewLog(t)
	recs := l.Lend(100)
	l.Produce(recs...)
	cfg := l.Config()
	cfg.Decode, cfg.Batch, cfg.Spacing = true, 100_000, 100*time.Millisecond
	schema, err := analytics.NewSchema(cfg.Business, cfg.Topology)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Open(fmt.Sprintf("%s/test_%d", os.Getenv("WEIR_REAL_CLICKHOUSE"), time.Now().UnixNano()), schema, Layout{})
	if err != nil {
		t.Fatal(err)
	}
	steps, err := s.Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, st := range steps {
		fmt.Println(st.SQL)
	}
	if err := s.Apply(t.Context(), steps); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	fmt.Println(projection.NewWriter(s).Run(ctx, cfg))
	r, err := s.Select(t.Context(), "SELECT `type`, count(), "+s.Dialect().Bucket("max(`time`)", "week", "Europe/London")+" FROM events GROUP BY type ORDER BY type", nil, 100000)
	fmt.Println(r, err)
	r, err = s.Select(t.Context(), "SELECT `table`, b, c, cnt FROM (SELECT 'base' AS `table`, sum(1) AS cnt, toString("+"sumWithOverflow("+checksum(schema.Events)+")) AS b, 1 AS c FROM events UNION ALL SELECT 'hours', sum(rows), toString(sum(checksum)), 1 FROM hours)", nil, 100000)
	fmt.Println(r, err)
	blocks, err := s.Blocks(t.Context(), 0, 100)
	fmt.Println(len(blocks), err)
	sums, err := s.Sums(t.Context(), 0, 1000)
	fmt.Println(err)
	for _, b := range blocks {
		for table, sum := range b.Tables {
			if sums[b.Number][table] != sum {
				t.Errorf("block %d of %s: %v, %v", b.Number, table, sum, sums[b.Number][table])
			}
		}
	}
	fmt.Println(s.Offsets(t.Context()))
}
