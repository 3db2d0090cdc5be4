// Command ferret serves MongoDB's protocol from SQLite files: FerretDB, which is
// not MongoDB itself. It knows CRUD, indexes and simple aggregations; it has no
// transactions, TTL or $lookup, and a second accumulator in $group gives 0.
package main

import (
	"context"
	"flag"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/FerretDB/FerretDB/ferretdb"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:27017", "`address` to serve on")
	data := flag.String("data", "", "`directory` of the SQLite files; it must exist")
	flag.Parse()
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := serve(ctx, *listen, *data, log); err != nil {
		log.Error("ferret cannot serve: is -data a directory, and the address free?", "error", err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, listen, data string, log *slog.Logger) error {
	server, err := ferretdb.New(&ferretdb.Config{
		Listener:  ferretdb.ListenerConfig{TCP: listen},
		Handler:   "sqlite",
		SQLiteURL: "file:" + data + "/",
		Logger:    log,
	})
	if err != nil {
		return err
	}
	return server.Run(ctx)
}
