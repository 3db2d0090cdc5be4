package platform

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// outside is the world beyond the platform: the endpoints that effects call.
type outside struct {
	transports streams.Transports
	simulated  map[string]sim.Simulated // those of this process, for their ledgers and faults
}

// reach makes the transports to the endpoints.
func reach(endpoints []business.Endpoint, at map[string]config.Secret) streams.Transports {
	// Effects of many keys call at once: the default of two idle connections
	// per host would open and close one for most calls.
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 128}}
	t := streams.Transports{HTTP: streams.HTTPTransport{Client: client, Addresses: map[string]string{}}, SMTP: streams.SMTPTransport{Addresses: map[string]string{}}}
	for _, e := range endpoints {
		if e.Protocol == business.SMTP {
			t.SMTP.Addresses[e.Name] = at[e.Name].Reveal()
		} else {
			t.HTTP.Addresses[e.Name] = at[e.Name].Reveal()
		}
	}
	return t
}

// startOutside simulates what was not given an address.
func (p *platform) startOutside(ctx context.Context) error {
	endpoints := p.Business.Endpoints()
	if err := p.Config.CheckOutside(endpoints); err != nil {
		return err
	}
	p.outside = &outside{simulated: map[string]sim.Simulated{}}
	at := map[string]config.Secret{}
	for _, e := range endpoints {
		if at[e.Name] = p.Config.Outside[e.Name]; at[e.Name] != "" {
			continue
		}
		var err error
		if at[e.Name], err = p.simulate(ctx, e); err != nil {
			return err
		}
	}
	p.outside.transports = reach(endpoints, at)
	p.wait = append(p.wait, p.outside.transports.HTTP.Client.CloseIdleConnections)
	return nil
}

// simulate serves a simulated endpoint on a free port and returns its address.
func (p *platform) simulate(ctx context.Context, e business.Endpoint) (config.Secret, error) {
	if err := p.makeData(); err != nil {
		return "", err
	}
	s, err := sim.New(e, sim.Config{Journal: p.path(e.Name + ".jsonl")})
	if err != nil {
		return "", err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("no port for the simulated %s: %w", e.Name, err)
	}
	p.outside.simulated[e.Name] = s
	address := config.Secret("http://" + l.Addr().String())
	run := func(ctx context.Context) error { return sim.Serve(ctx, l, s, io.Discard) }
	if box, ok := s.(*sim.Mailbox); ok {
		address, run = config.Secret(l.Addr().String()), func(ctx context.Context) error { return takeMail(ctx, box, l) }
	}
	p.background(ctx, "simulated "+e.Name, run)
	return address, nil
}

func takeMail(ctx context.Context, box *sim.Mailbox, l net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- box.Serve(l) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	if err := box.Close(); err != nil {
		return err
	}
	return <-served
}
