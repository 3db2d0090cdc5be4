package sim

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams/business"
)

// Simulated is a simulated endpoint: a Server or a Mailbox.
type Simulated interface {
	http.Handler
	SetFaults(Faults) error
	Close() error
}

// Program is a simulated endpoint as a process of its own.
type Program struct {
	Config
	Listen string // address of its HTTP API
	SMTP   string // address of its SMTP, if it speaks that
	Hosts  string // names, by commas, that it is asked by, beside addresses, localhost and the one listened on
}

// Run runs the simulator of an endpoint until ctx ends.
func (p Program) Run(ctx context.Context, e business.Endpoint, out io.Writer) error {
	s, err := New(e, p.Config)
	if err != nil {
		return err
	}
	l, err := open(ctx, "--listen", p.Listen)
	if err != nil {
		return errors.Join(err, s.Close())
	}
	if box, ok := s.(*Mailbox); ok {
		m, err := open(ctx, "--smtp", p.SMTP)
		if err != nil {
			return errors.Join(err, l.Close(), s.Close())
		}
		fmt.Fprintf(out, "taking mail on smtp://%s\n", m.Addr())
		go func() { _ = box.Serve(m) }() // ends with Close, which reports what matters
	}
	return Serve(ctx, l, s, out, names(p.Listen, p.Hosts)...)
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
	server := &http.Server{Handler: edge.Guard(s, "--hosts", hosts...), ReadHeaderTimeout: 10 * time.Second, ReadTimeout: time.Minute, IdleTimeout: 2 * time.Minute}
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
