// Command chdb serves ClickHouse over HTTP from its engine as a library, libchdb.
// It has no users, no query log and no replication.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	library := flag.String("library", "libchdb.so", "`path` of libchdb")
	data := flag.String("data", "", "`directory` of the data")
	listen := flag.String("listen", "127.0.0.1:8123", "`address` to serve on")
	sessions := flag.Int("sessions", 8, "`number` of statements at a time")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *library, *data, *listen, *sessions); err != nil {
		fmt.Fprintf(os.Stderr, "chdb: %v\n", err)
		os.Exit(1)
	}
}

// drainLimit is how long a stopping server waits for its last answers.
const drainLimit = 20 * time.Second

func run(ctx context.Context, library, data, listen string, sessions int) error {
	engine, err := load(library)
	if err != nil {
		return err
	}
	s, err := newServer(engine, data, sessions)
	if err != nil {
		return err
	}
	defer s.Close()
	h := &http.Server{Addr: listen, Handler: s, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- h.ListenAndServe() }()
	slog.Info("serving", "address", listen)
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	if err := h.Shutdown(drain); errors.Is(err, context.DeadlineExceeded) {
		slog.Warn("statements are still under way and are cut off")
	} else if err != nil {
		return err
	}
	return nil
}
