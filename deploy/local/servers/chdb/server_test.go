//go:build real

package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// connect opens a database of the test's own on the running server.
func connect(t *testing.T, method clickhouse.CompressionMethod) driver.Conn {
	t.Helper()
	u, err := url.Parse(os.Getenv("WEIR_REAL_CLICKHOUSE"))
	if err != nil || u.Host == "" {
		t.Fatalf("WEIR_REAL_CLICKHOUSE is %q: eval what servers env prints", os.Getenv("WEIR_REAL_CLICKHOUSE"))
	}
	open := func(database string) driver.Conn {
		c, err := clickhouse.Open(&clickhouse.Options{
			Protocol: clickhouse.HTTP, Addr: []string{u.Host}, MaxOpenConns: 16,
			Auth: clickhouse.Auth{Database: database}, Compression: &clickhouse.Compression{Method: method},
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	name := fmt.Sprintf("test_%d", time.Now().UnixNano())
	admin := open("default")
	exec(t, admin, "CREATE DATABASE "+name)
	t.Cleanup(func() { exec(t, admin, "DROP DATABASE "+name) })
	return open(name)
}

func exec(t *testing.T, c driver.Conn, query string) {
	t.Helper()
	if err := c.Exec(context.Background(), query); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func count(t *testing.T, c driver.Conn, query string, args ...any) uint64 {
	t.Helper()
	var n uint64
	if err := c.QueryRow(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func insert(ctx context.Context, c driver.Conn, from, to int) error {
	batch, err := c.PrepareBatch(ctx, "INSERT INTO orders")
	if err != nil {
		return err
	}
	at := time.Date(2010, 12, 1, 8, 26, 0, 123e6, time.UTC)
	for i := from; i < to; i++ {
		note := (*string)(nil)
		if i%2 == 1 {
			note = new("odd")
		}
		err := batch.Append(uint64(i), at.Add(time.Duration(i)*time.Second), fmt.Sprintf("SKU%d", i%10), []int64{int64(i), -1}, map[string]string{"country": "GB"}, note)
		if err != nil {
			return err
		}
	}
	return batch.Send()
}

const orders = `CREATE TABLE orders (id UInt64, at DateTime64(3, 'UTC'), sku LowCardinality(String),
	amounts Array(Int64), tags Map(String, String), note Nullable(String))
	ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100`

func TestDriver(t *testing.T) {
	for name, method := range map[string]clickhouse.CompressionMethod{"plain": clickhouse.CompressionNone, "LZ4": clickhouse.CompressionLZ4, "ZSTD": clickhouse.CompressionZSTD} {
		t.Run(name, func(t *testing.T) {
			c := connect(t, method)
			exec(t, c, orders)
			const rows = 200_000
			if err := insert(t.Context(), c, 0, rows); err != nil {
				t.Fatal(err)
			}
			if n := count(t, c, "SELECT count() FROM orders WHERE sku = {sku:String}", clickhouse.Named("sku", "SKU3")); n != rows/10 {
				t.Errorf("%d rows of SKU3, want %d", n, rows/10)
			}
			all, err := c.Query(t.Context(), "SELECT id, at, sku, amounts, tags, note FROM orders ORDER BY id")
			if err != nil {
				t.Fatal(err)
			}
			n := uint64(0)
			for ; all.Next(); n++ {
				var id uint64
				var at time.Time
				var sku string
				var amounts []int64
				var tags map[string]string
				var note *string
				if err := all.Scan(&id, &at, &sku, &amounts, &tags, &note); err != nil {
					t.Fatal(err)
				}
				if id != n || at.UnixMilli() != 1291191960123+int64(n)*1000 || amounts[0] != int64(n) || tags["country"] != "GB" || (note != nil) != (n%2 == 1) {
					t.Fatalf("row %d came back as %d %v %s %v %v %v", n, id, at, sku, amounts, tags, note)
				}
			}
			if err := all.Err(); err != nil || n != rows {
				t.Fatalf("read %d of %d rows: %v", n, rows, err)
			}
		})
	}
}

func TestSettingsAreTheRequestsOwn(t *testing.T) {
	c := connect(t, clickhouse.CompressionLZ4)
	exec(t, c, orders)
	once := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": "batch-1"}))
	for range 3 {
		if err := insert(once, c, 0, 10); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, c, "SELECT count() FROM orders"); n != 10 {
		t.Errorf("%d rows after the same batch thrice, want 10", n)
	}
	for range 20 { // every session, some twice
		if n := count(t, c, "SELECT count() FROM system.settings WHERE changed AND name = 'insert_deduplication_token' AND value != ''"); n != 0 {
			t.Fatal("the token of one request is set in another")
		}
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	c := connect(t, clickhouse.CompressionLZ4)
	err := c.Exec(t.Context(), "SELECT * FROM missing")
	var exception *clickhouse.Exception
	if !errors.As(err, &exception) || exception.Code != 60 {
		t.Errorf("an unknown table is %v, want an exception with code 60", err)
	}
	exec(t, c, orders)
	if err := c.Exec(t.Context(), "INSERT INTO orders (id) SELECT throwIf(number = 5) FROM numbers(10)"); err == nil {
		t.Error("an INSERT that throws succeeds")
	}
}

func TestManyAtATime(t *testing.T) {
	c := connect(t, clickhouse.CompressionLZ4)
	exec(t, c, orders)
	var all sync.WaitGroup
	for writer := range 16 {
		all.Go(func() {
			for round := range 5 {
				from := (writer*5 + round) * 100
				if err := insert(t.Context(), c, from, from+100); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	if n := count(t, c, "SELECT uniqExact(id) FROM orders"); n != 16*5*100 {
		t.Errorf("%d rows, want %d", n, 16*5*100)
	}
}
