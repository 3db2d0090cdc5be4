package bench

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // the driver, bare
)

// BenchmarkBareAppend writes rows of the size that the lanes write, in batches
// of the same order, to a bare SQLite table with the same durability: what the
// engine alone takes for a decision's event.
func BenchmarkBareAppend(b *testing.B) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	ctx := context.Background()
	if _, err := db.ExecContext(ctx, "CREATE TABLE events(id INTEGER PRIMARY KEY, kind INT, version INT, key TEXT, record BLOB)"); err != nil {
		b.Fatal(err)
	}
	const rows = 50
	insert := "INSERT INTO events(kind,version,key,record) VALUES " + strings.TrimSuffix(strings.Repeat("(?,?,?,?),", rows), ",")
	record := make([]byte, 900) // value and packed headers of a booked event
	b.ReportAllocs()
	b.ResetTimer()
	used, began := cpu(), time.Now()
	for n := 0; n < b.N; {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			b.Fatal(err)
		}
		for batch := 0; batch < 14 && n < b.N; batch++ {
			args := make([]any, 0, 4*rows)
			for range rows {
				args = append(args, 1, n, fmt.Sprintf("acc-%06d", n%benchKeys), record)
				n++
			}
			if _, err := tx.ExecContext(ctx, insert, args...); err != nil {
				b.Fatal(err)
			}
		}
		if err := tx.Commit(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/time.Since(began).Seconds(), "rows/s")
	b.ReportMetric(float64(b.N)/(cpu()-used).Seconds(), "rows/cpu-s")
}
