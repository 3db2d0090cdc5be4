//go:build real

package retail

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/analytics/clickhouse"
)

func TestTheWeekInClickHouse(t *testing.T) {
	url := fmt.Sprintf("%s/week_%d", os.Getenv("WEIR_REAL_CLICKHOUSE"), time.Now().UnixNano())
	t.Cleanup(func() {
		o, err := clickhouse.Options(url)
		check(t, err)
		c, err := ch.Open(o)
		check(t, err)
		defer c.Close()
		check(t, c.Exec(context.Background(), "DROP DATABASE "+o.Auth.Database+" SYNC"))
	})
	theWeek(t, func(schema *analytics.Schema) (analytics.Swappable, error) {
		s, err := clickhouse.Open(url, schema, clickhouse.Layout{})
		if err != nil {
			return nil, err
		}
		steps, err := s.Plan(t.Context())
		if err == nil {
			err = s.Apply(t.Context(), steps)
		}
		return s, err
	})
}
