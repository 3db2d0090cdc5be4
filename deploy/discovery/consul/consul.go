// Package consul finds units through Consul: each registers with its agent,
// with a check that expires unless the unit renews it.
package consul

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"

	"github.com/weirstream/weir/deploy/discovery"
)

const (
	ttl     = 10 * time.Second // a unit that dies is not resolved after it
	renewal = 3 * time.Second
	// forget is when Consul takes out a unit that has not renewed: its least is
	// a minute.
	forget  = time.Minute
	timeout = 3 * time.Second // of one request
	prefix  = "weir-"         // of the names in Consul's catalogue
)

// Registry is a discovery.Registry in Consul.
type Registry struct {
	client *api.Client
	log    *slog.Logger
}

var _ discovery.Registry = (*Registry)(nil)

// Open prepares a registry with the agent at a URL; token may be empty. It does
// not wait for the agent.
func Open(address, token string, log *slog.Logger) (*Registry, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("the address of Consul is not of the form http://host:port")
	}
	var auth *api.HttpBasicAuth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &api.HttpBasicAuth{Username: u.User.Username(), Password: password}
	}
	c, err := api.NewClient(&api.Config{Address: u.Host, Scheme: u.Scheme, Token: token, HttpAuth: auth, HttpClient: &http.Client{Timeout: timeout}})
	if err != nil {
		return nil, fmt.Errorf("consul: %w", err)
	}
	return &Registry{c, log.With("registry", u.Host)}, nil
}

// Keep registers a unit, renews its check every three seconds, and takes it out
// when ctx ends. An agent that has forgotten the unit is told again.
func (r *Registry) Keep(ctx context.Context, u discovery.Unit, healthy func() error) error {
	s, err := service(u)
	if err != nil {
		return err
	}
	tick := time.NewTicker(renewal)
	defer tick.Stop()
	known, failing := false, false
	for {
		if known, err = r.renew(ctx, s, known, healthy()); err != nil && !failing && ctx.Err() == nil {
			r.log.Warn("unit not registered now, trying again", "unit", u.ID, "error", err)
		}
		failing = err != nil
		select {
		case <-tick.C:
		case <-ctx.Done():
			return r.takeOut(context.WithoutCancel(ctx), u.ID)
		}
	}
}

func service(u discovery.Unit) (*api.AgentServiceRegistration, error) {
	host, p, err := net.SplitHostPort(u.Address)
	if err != nil {
		return nil, fmt.Errorf("address of unit %s: %w", u.ID, err)
	}
	port, err := strconv.Atoi(p)
	if err != nil {
		return nil, fmt.Errorf("address of unit %s: %w", u.ID, err)
	}
	return &api.AgentServiceRegistration{ID: u.ID, Name: prefix + u.Name, Address: host, Port: port, Tags: u.Tags,
		Check: &api.AgentServiceCheck{CheckID: checkID(u.ID), TTL: ttl.String(), Status: api.HealthCritical, DeregisterCriticalServiceAfter: forget.String()}}, nil
}

func checkID(unit string) string { return "alive:" + unit }

// renew tells the agent how the unit is, and who it is if the agent does not
// know. It returns whether the agent knows it.
func (r *Registry) renew(ctx context.Context, s *api.AgentServiceRegistration, known bool, sick error) (bool, error) {
	if !known {
		if err := r.client.Agent().ServiceRegisterOpts(s, api.ServiceRegisterOpts{}.WithContext(ctx)); err != nil {
			return false, err
		}
	}
	status, note := api.HealthPassing, "at work"
	if sick != nil {
		status, note = api.HealthCritical, sick.Error()
	}
	err := r.client.Agent().UpdateTTLOpts(s.Check.CheckID, note, status, (&api.QueryOptions{}).WithContext(ctx))
	return err == nil, err
}

func (r *Registry) takeOut(ctx context.Context, id string) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := r.client.Agent().ServiceDeregisterOpts(id, (&api.QueryOptions{}).WithContext(ctx)); err != nil {
		r.log.Warn("unit not taken out, Consul forgets it by itself", "unit", id, "after", forget, "error", err)
	}
	return nil
}

// Resolve lists the units whose check passes.
func (r *Registry) Resolve(ctx context.Context, name string) ([]discovery.Unit, error) {
	found, _, err := r.client.Health().Service(prefix+name, "", true, (&api.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", name, err)
	}
	out := make([]discovery.Unit, len(found))
	for i, f := range found {
		out[i] = discovery.Unit{Name: name, ID: f.Service.ID, Address: net.JoinHostPort(f.Service.Address, strconv.Itoa(f.Service.Port)), Tags: f.Service.Tags}
	}
	slices.SortFunc(out, func(a, b discovery.Unit) int { return cmp.Compare(a.ID, b.ID) })
	return out, nil
}
