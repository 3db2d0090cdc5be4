// Package embedded is what a process has in itself and on its disk when no server is named:
// the log, and the directory that it keeps everything in.
package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"sync"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// Log is the embedded log. It listens on TCP for kcat and any other client, and in
// memory for this process, whose every event crosses it several times.
type Log struct {
	*kfake.Cluster
	listener *listener
}

// Open starts the log on a loopback address, with what a directory holds.
func Open(address, dir string, log *slog.Logger) (*Log, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("address of the log %q: %w", address, err)
	}
	if host != "127.0.0.1" && host != "localhost" {
		return nil, fmt.Errorf("the embedded log listens on 127.0.0.1 only, not on %q", host)
	}
	b := &Log{}
	listen := func(network, _ string) (net.Listener, error) {
		tcp, err := net.Listen(network, address)
		if err != nil {
			return nil, err
		}
		b.listener = newListener(tcp, log)
		return b.listener, nil
	}
	// One broker: with the default of three every client keeps three of everything.
	b.Cluster, err = kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(listen), kfake.DataDir(dir))
	if err != nil {
		return nil, fmt.Errorf("the log cannot start on %s: %w. If the port is taken, choose another with --kafka", address, err)
	}
	return b, nil
}

// Address is where the log listens.
func (b *Log) Address() string { return b.ListenAddrs()[0] }

// Client are the options of a client in this process.
func (b *Log) Client() []kgo.Opt {
	return []kgo.Opt{kgo.SeedBrokers(b.ListenAddrs()...), kgo.Dialer(b.listener.dial), kgo.DisableClientMetrics()}
}

// listener accepts connections from TCP and from this process.
type listener struct {
	net.Listener
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
	err    error // of the TCP listener, once failed is closed
	failed chan struct{}
	others strangers
}

func newListener(tcp net.Listener, log *slog.Logger) *listener {
	l := &listener{Listener: tcp, others: strangers{log: log}, conns: make(chan net.Conn), closed: make(chan struct{}), failed: make(chan struct{})}
	go l.acceptTCP()
	return l
}

// acceptTCP ends when the TCP listener is closed.
func (l *listener) acceptTCP() {
	defer close(l.failed)
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			l.err = err
			return
		}
		if c = l.others.admit(c); c == nil {
			continue
		}
		select {
		case l.conns <- c:
		case <-l.closed:
			_ = c.Close() // nobody will serve it
		}
	}
}

// Accept returns the next connection, of either kind.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.failed:
		return nil, l.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close stops both.
func (l *listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// dial connects in memory; what it dials is always this log.
func (l *listener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	select {
	case l.conns <- theirs:
		return ours, nil
	case <-l.closed:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}
