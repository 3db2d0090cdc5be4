package platform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/dashboards/console"
)

// alertmanager is asked who has silenced what.
type alertmanager struct{ base string }

// silences are those in force, each with the alerts that it keeps quiet now.
func (a alertmanager) silences(ctx context.Context) (out []console.Silence, err error) {
	var all []struct {
		ID, CreatedBy, Comment string
		EndsAt                 time.Time
		Status                 struct{ State string }
	}
	if err := a.get(ctx, "/api/v2/silences", &all); err != nil {
		return nil, err
	}
	var alerts []struct {
		Labels map[string]string
		Status struct{ SilencedBy []string }
	}
	if err := a.get(ctx, "/api/v2/alerts?active=true&silenced=true&inhibited=true", &alerts); err != nil {
		return nil, err
	}
	for _, s := range all {
		if s.Status.State != "active" {
			continue
		}
		x := console.Silence{ID: s.ID, By: s.CreatedBy, Comment: s.Comment, Ends: s.EndsAt}
		for _, al := range alerts {
			if name := al.Labels["alertname"]; slices.Contains(al.Status.SilencedBy, s.ID) && !slices.Contains(x.Alerts, name) {
				x.Alerts = append(x.Alerts, name)
			}
		}
		out = append(out, x)
	}
	return out, nil
}

func (a alertmanager) get(ctx context.Context, path string, into any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(a.base, "/")+path, nil)
	if err != nil {
		return errors.New("alertmanager.url is no URL") // without it: it may hold a password
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return fmt.Errorf("alertmanager does not answer: %w", err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("alertmanager answers %s", res.Status)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, 16<<20)).Decode(into); err != nil {
		return fmt.Errorf("alertmanager's answer cannot be read: %w", err)
	}
	return nil
}
