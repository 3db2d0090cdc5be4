// Package simulate lives through bad days of the whole place-order business: all
// services, the simulated provider, carrier and mailbox, customers, and a
// schedule of faults, in virtual time. What is simulated is what ships.
package simulate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/processors/audit"
	"github.com/weirstream/weir/streams"
)

// Outside is the world that the business calls, on a wire of the caller's.
type Outside struct {
	Provider   *sim.Provider
	Carrier    *sim.Carrier
	Mailbox    *sim.Mailbox
	Transports streams.Transports
	close      []func() error
}

// Wire is a network in memory: a streamtest.Cluster has one.
type Wire interface {
	Listen(address string) (net.Listener, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// OpenOutside serves all three on ports 9101 to 9103 of the wire.
func OpenOutside(w Wire, f sim.Faults) (*Outside, error) {
	var err error
	o := &Outside{}
	if o.Provider, err = sim.NewProvider(sim.Config{Faults: f}); err != nil {
		return nil, err
	}
	if o.Carrier, err = sim.NewCarrier(sim.Config{Faults: f}); err != nil {
		return nil, err
	}
	if o.Mailbox, err = sim.NewMailbox(sim.Config{Faults: f}); err != nil {
		return nil, err
	}
	client := &http.Client{Transport: &http.Transport{DialContext: w.Dial}}
	o.Transports = streams.Transports{
		HTTP: streams.HTTPTransport{Client: client, Addresses: map[string]string{"provider": "http://127.0.0.1:9101", "carrier": "http://127.0.0.1:9102"}},
		SMTP: streams.SMTPTransport{Dial: w.Dial, Addresses: map[string]string{"mailbox": "127.0.0.1:9103"}},
	}
	if err := errors.Join(o.serve(w, "127.0.0.1:9101", o.Provider), o.serve(w, "127.0.0.1:9102", o.Carrier), o.serveMail(w, "127.0.0.1:9103")); err != nil {
		return nil, errors.Join(err, o.Close())
	}
	o.close = append(o.close, func() error { client.CloseIdleConnections(); return nil })
	return o, nil
}

func (o *Outside) serve(w Wire, address string, s sim.Simulated) error {
	l, err := w.Listen(address)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- sim.Serve(ctx, l, s, io.Discard) }()
	o.close = append(o.close, func() error {
		stop()
		return <-done
	})
	return nil
}

func (o *Outside) serveMail(w Wire, address string) error {
	l, err := w.Listen(address)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- o.Mailbox.Serve(l) }()
	o.close = append(o.close, func() error {
		err := o.Mailbox.Close()
		<-done // the wire says in words of its own that the listener is closed
		return err
	})
	return nil
}

// SetFaults replaces the faults of all three.
func (o *Outside) SetFaults(f sim.Faults) error {
	return errors.Join(o.Provider.SetFaults(f), o.Carrier.SetFaults(f), o.Mailbox.SetFaults(f))
}

// Close ends what OpenOutside began. The ledgers stay readable.
func (o *Outside) Close() (err error) {
	for i := len(o.close) - 1; i >= 0; i-- {
		err = errors.Join(err, o.close[i]())
	}
	o.close = nil
	return err
}

// Ledgers tells an audit what really happened outside.
func (o *Outside) Ledgers(in *audit.Input) error {
	return errors.Join(ledger(o.Provider, &in.Provider), ledger(o.Carrier, &in.Carrier), ledger(o.Mailbox, &in.Mailbox))
}

func ledger(h http.Handler, into any) error {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ledger", nil))
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil || w.Code != http.StatusOK {
		return fmt.Errorf("a ledger cannot be read: status %d, %w", w.Code, err)
	}
	return nil
}
