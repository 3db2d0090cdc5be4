package sim

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// Wire is a network in memory: a streamtest.Cluster has one.
type Wire interface {
	Listen(address string) (net.Listener, error)
	Dial(ctx context.Context, network, address string) (net.Conn, error)
}

// World is all that a business calls, on a wire of the caller's.
type World struct {
	Servers    map[string]Simulated // by endpoint
	Transports streams.Transports
	close      []func() error
}

// OpenWorld serves all endpoints on ports from 9101 on of the wire.
func OpenWorld(w Wire, endpoints []business.Endpoint, f Faults) (*World, error) {
	client := &http.Client{Transport: &http.Transport{DialContext: w.Dial}}
	o := &World{Servers: map[string]Simulated{}, Transports: streams.Transports{
		HTTP: streams.HTTPTransport{Client: client, Addresses: map[string]string{}}, SMTP: streams.SMTPTransport{Dial: w.Dial, Addresses: map[string]string{}}}}
	o.close = append(o.close, func() error { client.CloseIdleConnections(); return nil })
	for i, e := range endpoints {
		s, err := New(e, Config{Faults: f})
		if err == nil {
			o.Servers[e.Name] = s
			err = o.serve(w, e, fmt.Sprintf("127.0.0.1:%d", 9101+i), s)
		}
		if err != nil {
			return nil, errors.Join(err, o.Close())
		}
	}
	return o, nil
}

func (o *World) serve(w Wire, e business.Endpoint, address string, s Simulated) error {
	l, err := w.Listen(address)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	if box, ok := s.(*Mailbox); ok {
		o.Transports.SMTP.Addresses[e.Name] = address
		go func() { done <- box.Serve(l) }()
		o.close = append(o.close, func() error {
			err := box.Close()
			<-done // the wire says in words of its own that the listener is closed
			return err
		})
		return nil
	}
	o.Transports.HTTP.Addresses[e.Name] = "http://" + address
	ctx, stop := context.WithCancel(context.Background())
	go func() { done <- Serve(ctx, l, s, io.Discard) }()
	o.close = append(o.close, func() error {
		stop()
		return <-done
	})
	return nil
}

// SetFaults replaces the faults of all.
func (o *World) SetFaults(f Faults) (err error) {
	for _, s := range o.Servers {
		err = errors.Join(err, s.SetFaults(f))
	}
	return err
}

// Close ends what OpenWorld began. The ledgers stay readable.
func (o *World) Close() (err error) {
	for i := len(o.close) - 1; i >= 0; i-- {
		err = errors.Join(err, o.close[i]())
	}
	o.close = nil
	return err
}

// Ledgers tell an audit what really happened outside, by endpoint.
func (o *World) Ledgers() (map[string]json.RawMessage, error) { return Ledgers(o.Servers) }

// Ledgers are those of simulated endpoints.
func Ledgers(servers map[string]Simulated) (map[string]json.RawMessage, error) {
	out := map[string]json.RawMessage{}
	for name, s := range servers {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/ledger", nil))
		if w.Code != http.StatusOK {
			return nil, fmt.Errorf("ledger of the %s: status %d, %s", name, w.Code, w.Body)
		}
		out[name] = json.RawMessage(w.Body.Bytes())
	}
	return out, nil
}
