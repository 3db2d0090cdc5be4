//go:build real

package platform

import (
	"crypto/rand"
	"io"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/streams/streamtest"
)

// All services of one process share its connections, however few they are: a process
// with as many lanes as ever starts, works and stops on two.
func TestAProcessKeepsToItsConnections(t *testing.T) {
	const bound = 2
	ctx := t.Context()
	server, err := url.Parse(streamtest.Real(t, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, server.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	name := "weir_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+name+" ENCODING 'UTF8' TEMPLATE template0"); err != nil {
		t.Fatal(err)
	}
	defer conn.Exec(ctx, "DROP DATABASE "+name+" WITH (FORCE)") // after the process, which the subtest ends
	server.Path = name
	t.Run("process", func(t *testing.T) {
		c := config.Default()
		c.HTTP, c.Data = "127.0.0.1:0", t.TempDir()
		c.Postgres = config.SQL{URL: config.Secret(server.String()), MaxConns: bound}
		base := start(t, c, slog.New(slog.NewTextHandler(io.Discard, nil)), AllUnits)
		for range 3 {
			traceOf(t, base, place(t, base))
		}
		most := 0
		for range 100 {
			n := 0
			err := conn.QueryRow(ctx, `SELECT count(*) FROM pg_stat_activity
				WHERE datname=$1 AND backend_type='client backend'`, name).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
			most = max(most, n)
			time.Sleep(10 * time.Millisecond)
		}
		if most == 0 || most > bound {
			t.Errorf("%d connections, want 1 to %d", most, bound)
		}
	})
}
