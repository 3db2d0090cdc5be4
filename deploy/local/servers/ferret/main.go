// Command ferret serves MongoDB's protocol from a PostgreSQL database: FerretDB,
// which is not MongoDB itself. It knows CRUD, indexes and simple aggregations; it
// has no transactions, TTL or $lookup, and a second accumulator in $group gives 0.
// Its other backend, SQLite, reads a whole collection for every filter that is
// more than an _id: 5,000 documents take a fifth of a second.
package main

import (
	"context"
	_ "embed"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/FerretDB/FerretDB/ferretdb"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "`address` to serve on")
	database := flag.String("postgres", "", "`URL` of the database; it is made if it is not there")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen, *database, log); err != nil {
		log.Error("ferret cannot serve: does PostgreSQL answer, and is the address free?", "error", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, listen, database string, log *slog.Logger) error {
	if err := makeDatabase(ctx, database); err != nil {
		return err
	}
	if err := indexIDs(ctx, database); err != nil {
		return err
	}
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:      ferretdb.ListenerConfig{TCP: listen},
		Handler:       "postgresql",
		PostgreSQLURL: database,
		Logger:        log,
	})
	if err != nil {
		return err
	}
	return server.Run(ctx)
}

//go:embed index.sql
var index string

// indexIDs has every collection that is made from now on get an index of its ids.
func indexIDs(ctx context.Context, url string) error {
	own, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("the URL of PostgreSQL is none")
	}
	c, err := pgx.ConnectConfig(ctx, own.ConnConfig)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.PgConn().Exec(ctx, index).ReadAll() // several statements
	return err
}

// patience is how long PostgreSQL may take to come up.
const patience = 60 * time.Second

// makeDatabase waits for the server and makes the database of the URL there.
func makeDatabase(ctx context.Context, url string) error {
	own, err := pgxpool.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("the URL of PostgreSQL is none") // without it: it holds a password
	}
	admin := own.ConnConfig.Copy()
	admin.Database = "postgres"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := createDatabase(ctx, admin, own.ConnConfig.Database)
		if err == nil || ctx.Err() != nil {
			return err
		}
		time.Sleep(200 * time.Millisecond)
	}
}

func createDatabase(ctx context.Context, admin *pgx.ConnConfig, name string) error {
	c, err := pgx.ConnectConfig(ctx, admin)
	if err != nil {
		return err
	}
	defer c.Close(ctx)
	_, err = c.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	var known *pgconn.PgError
	if errors.As(err, &known) && known.Code == "42P04" { // there already
		return nil
	}
	return err
}
