package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
)

const (
	askTime = 30 * time.Second // of a question to other units
	// forwardedHeader marks a question of another unit. It is answered from here
	// or not at all: two units must not ask each other for ever.
	forwardedHeader = "Weir-Forwarded"
	notOwned        = "not-owned" // the problem of a unit that is not the lane's owner
)

type forwardedKey struct{}

// forwardedContext remembers that a request came from another unit.
func forwardedContext(r *http.Request) context.Context {
	if r.Header.Get(forwardedHeader) == "" {
		return r.Context()
	}
	return context.WithValue(r.Context(), forwardedKey{}, true)
}

// ask puts a question to the units of a service, one after the other, until one
// is not merely the wrong one.
func (p *platform) ask(ctx context.Context, service, method, path string, into any) error {
	if ctx.Value(forwardedKey{}) != nil {
		return streams.ErrNotOwned
	}
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	units, err := p.registry.Resolve(ctx, service)
	if err != nil {
		return err
	}
	err = fmt.Errorf("no healthy unit of service %s is registered: start one", service)
	for _, u := range units {
		if u.ID == p.unitID(service) {
			continue
		}
		err = askUnit(ctx, method, "http://"+u.Address+path, into)
		var refused *edge.Problem
		switch answered := errors.As(err, &refused); {
		case err != nil && !answered && method == http.MethodGet: // it may just have died: another one knows as much
		case answered && refused.Code == notOwned:
		default:
			return err
		}
	}
	return err
}

// askUnit makes one request. A refusal is an *edge.Problem.
func askUnit(ctx context.Context, method, url string, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, url, nil)
	if err != nil {
		return err
	}
	req.Header.Set(forwardedHeader, "1")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("another unit does not answer: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return fmt.Errorf("another unit's answer broke off: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return edge.ReadProblem(res.StatusCode, body)
	}
	return json.Unmarshal(body, into)
}
