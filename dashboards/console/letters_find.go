package console

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// cause is why keys are parked: what failed where, and how.
type cause struct {
	ID               string
	Service, Decider string
	Name             string // of the input
	Reason           string // of the first
	Keys, Waiting    int
	Since            time.Time // the oldest
	Path             string
}

// varying are the parts of a reason that differ from key to key.
var varying = regexp.MustCompile(`"[^"]*"|[0-9a-fA-F-]{8,}|\d+`)

// cause names why a key is parked, alike for keys with the same trouble.
func (k *parkedKey) cause() string {
	reason := varying.ReplaceAllString(strings.ReplaceAll(firstLine(k.Reason), k.Key, "#"), "#")
	sum := sha256.Sum256([]byte(strings.Join([]string{k.Service, k.Decider, k.Kind, k.Name, reason}, "\n")))
	return hex.EncodeToString(sum[:6])
}

// causesOf sums keys up, those of most keys first.
func causesOf(keys []parkedKey) (out []cause) {
	at := map[string]int{}
	for _, k := range keys {
		id := k.cause()
		i, ok := at[id]
		if !ok {
			i = len(out)
			at[id] = i
			out = append(out, cause{ID: id, Service: k.Service, Decider: k.Decider, Name: k.Name, Reason: firstLine(k.Reason), Since: k.At, Path: lettersPath("", id, 1)})
		}
		x := &out[i]
		x.Keys, x.Waiting = x.Keys+1, x.Waiting+len(k.Waiting)
		if k.At.Before(x.Since) {
			x.Since = k.At
		}
	}
	slices.SortStableFunc(out, func(a, b cause) int { return cmp.Compare(b.Keys, a.Keys) })
	return out
}

// search chooses keys by a part of anything that is shown of them, in letters of
// either case, and by their cause.
func search(keys []parkedKey, text, cause string) (out []parkedKey) {
	text = strings.ToLower(text)
	has := func(l Letter) bool {
		for _, s := range []string{l.Key, l.Service, l.Decider, l.Name, l.ID, l.Correlation, l.From, l.Reason, l.Data} {
			if strings.Contains(strings.ToLower(s), text) {
				return true
			}
		}
		return false
	}
	for _, k := range keys {
		if (cause == "" || k.cause() == cause) && (text == "" || has(k.Letter) || slices.ContainsFunc(k.Waiting, has)) {
			out = append(out, k)
		}
	}
	return out
}

func lettersPath(query, cause string, page int) string {
	q := url.Values{}
	if query != "" {
		q.Set("q", query)
	}
	if cause != "" {
		q.Set("cause", cause)
	}
	if page > 1 {
		q.Set("page", strconv.Itoa(page))
	}
	if len(q) == 0 {
		return "/dead-letters"
	}
	return "/dead-letters?" + q.Encode()
}
