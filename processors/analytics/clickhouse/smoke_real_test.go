//go:build real

package clickhouse

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/projectiontest"
)

// The log is what the tables hold, and every lie about it is found.
func TestLies(t *testing.T) {
	l := projectiontest.NewLog(t)
	l.Produce(l.Lend(100)...)
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
	if err := s.Apply(t.Context(), steps); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	w := projection.NewWriter(s)
	go func() { done <- w.Run(ctx, cfg) }()
	l.CaughtUp(t, s)
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	all := func(want ...string) {
		t.Helper()
		// The newest block is not judged: its rows may be on their way.
		r := analytics.Reconciler{Store: s, Schema: schema, Client: cfg.Client, Log: slog.New(slog.DiscardHandler)}
		found, err := r.All(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range found {
			fmt.Println(d)
		}
		fmt.Println("--", len(found))
	}
	if _, err := s.Claim(t.Context(), 3, nil); err != nil {
		t.Fatal(err)
	}
	all()
	exec := func(sql string) {
		t.Helper()
		if err := s.conn.Exec(t.Context(), sql+" SETTINGS mutations_sync = 1"); err != nil {
			t.Fatal(err)
		}
	}
	exec("ALTER TABLE events DELETE WHERE topic = 'desk.loan' AND partition = 1 AND offset = 17")
	all()
	exec("ALTER TABLE events UPDATE data = '{}' WHERE topic = 'desk.loan' AND partition = 2 AND offset = 9")
	all()
	if err := s.conn.Exec(t.Context(), "INSERT INTO event_loan_asked SELECT * FROM event_loan_asked LIMIT 1"); err != nil {
		t.Fatal(err)
	}
	all()
	exec("ALTER TABLE hours UPDATE rows = rows + 1 WHERE type = 'loan.asked'")
	all()
}
