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
)

// outside is the world beyond the platform: the endpoints that effects call.
type outside struct {
	transports streams.Transports
	simulated  map[string]http.Handler // those of this process, for their ledgers and faults
}

// Names of the endpoints, as the services' effects declare them.
const (
	provider = "provider"
	carrier  = "carrier"
	mailbox  = "mailbox"
)

// reach makes the transports to endpoints at these addresses.
func reach(providerURL, carrierURL, mailboxAddr string) streams.Transports {
	// Effects of many keys call at once: the default of two idle connections
	// per host would open and close one for most calls.
	client := &http.Client{Transport: &http.Transport{MaxIdleConns: 256, MaxIdleConnsPerHost: 128}}
	return streams.Transports{
		HTTP: streams.HTTPTransport{Client: client, Addresses: map[string]string{provider: providerURL, carrier: carrierURL}},
		SMTP: streams.SMTPTransport{Addresses: map[string]string{mailbox: mailboxAddr}},
	}
}

// startOutside simulates what was not given an address.
func (p *platform) startOutside(ctx context.Context) error {
	p.outside = &outside{simulated: map[string]http.Handler{}}
	if o := p.Config.Outside; o.Provider == "" || o.Carrier == "" || o.Mailbox == "" {
		if err := p.makeData(); err != nil {
			return err
		}
	}
	if p.Config.Outside.Provider == "" {
		s, err := sim.NewProvider(sim.Config{Journal: p.path("provider.jsonl")})
		if err != nil {
			return err
		}
		if p.Config.Outside.Provider, err = p.simulate(ctx, provider, s); err != nil {
			return err
		}
	}
	if p.Config.Outside.Carrier == "" {
		s, err := sim.NewCarrier(sim.Config{Journal: p.path("carrier.jsonl")})
		if err != nil {
			return err
		}
		if p.Config.Outside.Carrier, err = p.simulate(ctx, carrier, s); err != nil {
			return err
		}
	}
	if p.Config.Outside.Mailbox == "" {
		if err := p.simulateMailbox(ctx); err != nil {
			return err
		}
	}
	p.outside.transports = reach(p.Config.Outside.Provider.Reveal(), p.Config.Outside.Carrier.Reveal(), p.Config.Outside.Mailbox)
	p.wait = append(p.wait, p.outside.transports.HTTP.Client.CloseIdleConnections)
	return nil
}

// simulate serves a simulated server on a free port and returns its URL.
func (p *platform) simulate(ctx context.Context, name string, s sim.Simulated) (config.Secret, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("no port for the simulated %s: %w", name, err)
	}
	p.outside.simulated[name] = s
	p.background(ctx, "simulated "+name, func(ctx context.Context) error { return sim.Serve(ctx, l, s, io.Discard) })
	return config.Secret("http://" + l.Addr().String()), nil
}

func (p *platform) simulateMailbox(ctx context.Context) error {
	s, err := sim.NewMailbox(sim.Config{Journal: p.path("mailbox.jsonl")})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("no port for the simulated mailbox: %w", err)
	}
	p.Config.Outside.Mailbox = l.Addr().String()
	p.outside.simulated[mailbox] = s
	p.background(ctx, "simulated mailbox", func(ctx context.Context) error {
		served := make(chan error, 1)
		go func() { served <- s.Serve(l) }()
		select {
		case err := <-served:
			return err
		case <-ctx.Done():
		}
		if err := s.Close(); err != nil {
			return err
		}
		return <-served
	})
	return nil
}
