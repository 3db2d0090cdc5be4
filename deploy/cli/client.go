package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
)

// urlVariable names the running weir for every command that asks one.
const urlVariable = "WEIR_URL"

// client talks to a running weir.
type client struct{ url *string }

func urlFlag(c *cobra.Command) client {
	at := "http://127.0.0.1:8080"
	if set := os.Getenv(urlVariable); set != "" {
		at = set
	}
	c.PersistentFlags().Var(webURL(&at), "url", "address of the running weir; "+urlVariable+" says it too")
	return client{&at}
}

// base is the address, which the environment may have set to anything.
func (c client) base() (string, error) {
	return strings.TrimSuffix(*c.url, "/"), isURL("--url or "+urlVariable, *c.url)
}

// call makes a request and decodes the answer, or explains why it cannot.
func (c client) call(whole context.Context, method, path string, into any) error {
	ctx, cancel := context.WithTimeout(whole, 40*time.Second)
	defer cancel()
	base, err := c.base()
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, method, base+path, nil)
	if err != nil {
		return usagef("--url %q: %v", base, err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil && whole.Err() != nil {
		return fmt.Errorf("interrupted before %s answered %s %s: whether it was done is not known here: %w", base, method, path, context.Cause(whole))
	}
	if err != nil {
		return unreachable{fmt.Errorf("nobody answers at %s: %w. Is weir dev running?", base, err)}
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<20))
	if err != nil {
		return unreachable{fmt.Errorf("answer of %s: %w", base, err)}
	}
	if res.StatusCode >= 300 {
		var problem struct{ Detail string }
		if json.Unmarshal(body, &problem) != nil || problem.Detail == "" {
			problem.Detail = base + " answers " + res.Status
		}
		if res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests {
			return unreachable{errors.New(problem.Detail)}
		}
		return errors.New(problem.Detail)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("the answer of %s is no JSON: %w. Is it a weir?", base, err)
	}
	return nil
}

// limitFlag is how much of a list a command prints.
func limitFlag(c *cobra.Command) *int {
	limit := 1000
	wholeFlag(c, &limit, "limit", 0, math.MaxInt32, "how many to list at most; 0: all")
	return &limit
}

// pages follows a list from page to page, until limit, and tells whether there is
// more. get returns a page and the token of the next.
func pages[T any](limit int, get func(token string) ([]T, string, error)) (all []T, more bool, err error) {
	for token := ""; ; {
		page, next, err := get(token)
		if err != nil {
			return all, false, err
		}
		all = append(all, page...)
		switch {
		case limit > 0 && len(all) > limit:
			return all[:limit], true, nil
		case next == "" || limit > 0 && len(all) == limit:
			return all, next != "", nil
		case next == token:
			return all, true, errors.New("the list does not go on: its next page is the one that was just read")
		}
		token = next
	}
}

// tellMore says that a list was cut off, where it cannot be taken for the list.
func tellMore(c *cobra.Command, shown int, more bool) {
	if more {
		fmt.Fprintf(c.ErrOrStderr(), "these are %d, and there are more: --limit 0 lists all\n", shown)
	}
}
