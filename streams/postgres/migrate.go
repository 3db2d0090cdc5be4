package postgres

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Migrations only go forward: a file per schema version, numbered from 1, and
// never changed once it was released.
//
//go:embed migrations/*.sql
var migrations embed.FS

// migrationLock is the class of the advisory locks that migrations run under
// ("Weir"); the object is the schema.
const migrationLock = 0x57656972

// migrate brings the schema up to date. Two programs that do so at once take turns,
// and the second finds nothing to do. It may take longer than a call, and so may
// waiting for another's.
func (s *Store) migrate(ctx context.Context, schema string) error {
	leave, err := s.pool.turn(ctx, s.service)
	if err != nil {
		return err
	}
	defer leave()
	return s.once(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, "SET LOCAL statement_timeout=0; SET LOCAL lock_timeout=0"); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1,hashtext($2))", int32(migrationLock), schema)
			if err != nil {
				return err
			}
			version, err := s.schemaVersion(ctx, tx)
			if err != nil {
				return err
			}
			return s.upgrade(ctx, tx, version)
		})
	})
}

// schemaVersion is the number of the last migration, 0 for a schema just made.
func (s *Store) schemaVersion(ctx context.Context, tx pgx.Tx) (version int, err error) {
	var encoding string
	var exists, ours bool
	err = tx.QueryRow(ctx, `SELECT current_setting('server_encoding'),
		to_regnamespace($1) IS NOT NULL, to_regclass($2) IS NOT NULL`,
		s.service.schema, s.service.schema+".migrations").Scan(&encoding, &exists, &ours)
	switch {
	case err != nil:
		return 0, err
	case encoding != "UTF8":
		return 0, fmt.Errorf("the database has encoding %s: make one with encoding UTF8", encoding)
	case ours:
		return version, tx.QueryRow(ctx, s.sql("SELECT coalesce(max(version),0) FROM weir.migrations")).Scan(&version)
	case exists:
		return 0, fmt.Errorf("the schema is there and not a store's: drop it if it is empty, or give the store a database of its own")
	}
	if _, err = tx.Exec(ctx, "CREATE SCHEMA "+s.service.schema); err != nil {
		return 0, err
	}
	_, err = tx.Exec(ctx, s.sql(`CREATE TABLE weir.migrations (
		version int PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())`))
	return 0, err
}

// upgrade applies the migrations that follow a version, and mints a new store's
// incarnation. The migrations name no schema: they are of the one of their transaction.
func (s *Store) upgrade(ctx context.Context, tx pgx.Tx, version int) error {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return err
	}
	if version > len(files) {
		return fmt.Errorf("the schema has version %d and this program knows %d: run the newer program that wrote it", version, len(files))
	}
	if _, err := tx.Exec(ctx, "SELECT set_config('search_path',$1,true)", s.service.schema); err != nil {
		return err
	}
	for n := version + 1; n <= len(files); n++ {
		sql, err := migrations.ReadFile("migrations/" + files[n-1].Name())
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, string(sql)); err != nil {
			return fmt.Errorf("migration %d: %w", n, err)
		}
		if _, err := tx.Exec(ctx, s.sql("INSERT INTO weir.migrations VALUES ($1)"), n); err != nil {
			return err
		}
	}
	if version > 0 {
		return nil
	}
	_, err = tx.Exec(ctx, s.sql("INSERT INTO weir.store(incarnation,partitions) VALUES ($1,0)"), rand.Text())
	return err
}
