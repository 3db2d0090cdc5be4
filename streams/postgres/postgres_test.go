//go:build real

package postgres

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

var ctx = context.Background()

// fresh names a service whose schema is dropped at the test's end.
func fresh(t testing.TB) string {
	t.Helper()
	service := "test_" + strings.ToLower(rand.Text())
	t.Cleanup(func() { sql(t, "DROP SCHEMA IF EXISTS "+pgx.Identifier{"weir_" + service}.Sanitize()+" CASCADE") })
	return service
}

func sql(t testing.TB, queries ...string) {
	t.Helper()
	c := dial(t)
	defer c.Close(ctx)
	for _, q := range queries {
		if _, err := c.Exec(ctx, q); err != nil {
			t.Fatalf("%s: %v", q, err)
		}
	}
}

// dial connects beside the store, without its settings.
func dial(t testing.TB) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(ctx, streamtest.Real(t, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t testing.TB, service string, opts ...Option) *Store {
	t.Helper()
	s, err := Open(ctx, streamtest.Real(t, "postgres"), service, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func claim(t testing.TB, s *Store, lane int32) *streams.Cursor {
	t.Helper()
	c, err := s.Claim(ctx, lane)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
