package sim

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/weirstream/weir/services/gateway/edge"
)

// Simulated is a simulated server: Provider, Carrier or Mailbox.
type Simulated interface {
	http.Handler
	Close() error
}

// Program runs a simulated server as a process of its own.
type Program struct {
	Name   string // of the command
	What   string // it simulates
	Listen string // default address of its HTTP API
	SMTP   string // default address of its SMTP, if it speaks that
	New    func(Config) (Simulated, error)
}

const help = `%[1]s simulates the %[2]s that the services talk to. It moves no money, no
parcel and no mail out of this machine: for laptops, tests and benchmarks.

  %[1]s                                        run it; Ctrl-C stops it
  %[1]s -journal %[1]s.jsonl                remember everything over a restart
  %[1]s -lost 0.05 -errors 0.05 -latency-ms 80 make it as bad as a real one

  curl -s http://%[3]s/ledger                  what really happened
  curl -s http://%[3]s/faults -d '{"down":true}'  break it while it runs
  curl -s http://%[3]s/faults -d '{}'          mend it

`

// Main runs the program until Ctrl-C or SIGTERM, drains it, and returns the
// process's exit code.
func (p Program) Main() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := p.Run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, err)
		return 1
	}
	return 0
}

// Run runs the program with these arguments until ctx ends.
func (p Program) Run(ctx context.Context, args []string, out io.Writer) error {
	fs := flag.NewFlagSet(p.Name, flag.ContinueOnError)
	fs.Usage = func() {
		fmt.Fprintf(fs.Output(), help, p.Name, p.What, p.Listen)
		fs.PrintDefaults()
	}
	listen := fs.String("listen", p.Listen, "`address` of the HTTP API; port 0 picks a free one")
	smtp := &p.SMTP
	if p.SMTP != "" {
		smtp = fs.String("smtp", p.SMTP, "`address` to take mail on; port 0 picks a free one")
	}
	hosts := fs.String("hosts", "", "`names`, by commas, that this server is asked by, beside addresses, localhost and the one listened on")
	var c Config
	fs.StringVar(&c.Journal, "journal", "", "`file` that the state survives in; without it the end forgets everything")
	c.Faults.Flags(fs)
	if err := fs.Parse(args); err != nil {
		return err
	}
	s, err := p.New(c)
	if err != nil {
		return err
	}
	l, err := open(ctx, "-listen", *listen)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if box, ok := s.(*Mailbox); ok {
		m, err := open(ctx, "-smtp", *smtp)
		if err != nil {
			return errors.Join(err, l.Close(), s.Close())
		}
		fmt.Fprintf(out, "taking mail on smtp://%s\n", m.Addr())
		go func() { _ = box.Serve(m) }() // ends with Close, which reports what matters
	}
	return Serve(ctx, l, s, out, names(*listen, *hosts)...)
}

// names are those that the server goes by.
func names(listen, hosts string) (out []string) {
	listens, _, _ := net.SplitHostPort(listen) // it is listened on
	for _, name := range append(strings.Split(hosts, ","), listens) {
		if name = strings.TrimSpace(name); name != "" {
			out = append(out, edge.HostName(name))
		}
	}
	return out
}

func open(ctx context.Context, option, address string) (net.Listener, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("%w: choose another address with %s", err, option)
	}
	return l, nil
}

// drainLimit is how long a stopping program waits for its last answers.
const drainLimit = 10 * time.Second

// Serve runs a simulated server's HTTP API on a listener until ctx ends, then
// drains it. It closes s. It answers who asks for an address, localhost, or one of
// hosts, and no page of another site.
func Serve(ctx context.Context, l net.Listener, s Simulated, out io.Writer, hosts ...string) error {
	server := &http.Server{Handler: edge.Guard(s, "-hosts", hosts...), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	fmt.Fprintf(out, "listening on http://%s\n", l.Addr())
	select {
	case err := <-failed:
		return errors.Join(err, s.Close())
	case <-ctx.Done():
	}
	fmt.Fprintln(out, "stopping: finishing what is under way")
	err := s.Close()
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainLimit)
	defer cancel()
	return errors.Join(err, server.Shutdown(drain))
}
