package projection

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
)

// ErrToken says that a token cannot be read.
var ErrToken = errors.New("the token is not of the form topic:lane:sequence")

// ErrNotYet says that the read model was asked, and does not hold yet what a token names.
var ErrNotYet = errors.New("the read model has not reached it yet")

// A waiting question looks again after each write of this process, and, as
// another process may be the writer, at intervals that grow from the first to
// the last of these.
const (
	firstLook = 10 * time.Millisecond
	lastLook  = 160 * time.Millisecond
)

// Await returns once the read model holds the event that a command's token
// names, so that who wrote reads the own write. It fails with ErrToken, with ErrNotYet
// when ctx ends after a look, or when the store cannot be asked, or does not answer.
func (m *Model) Await(ctx context.Context, token string) error {
	t, err := ParseToken(token)
	if err != nil {
		return err
	}
	for wait, looked := firstLook, false; ; wait, looked = min(2*wait, lastLook), true {
		changed := m.next() // before the look, or a write between the two is missed
		ok, err := m.Holds(ctx, t)
		switch {
		case looked && err != nil && ctx.Err() != nil: // the end came during a look
			return fmt.Errorf("%s: %w: %w", token, ErrNotYet, context.Cause(ctx))
		case ok || err != nil:
			return err
		}
		look := time.NewTimer(wait)
		select {
		case <-changed:
		case <-look.C:
		case <-ctx.Done():
			look.Stop()
			return fmt.Errorf("%s: %w: %w", token, ErrNotYet, context.Cause(ctx))
		}
		look.Stop()
	}
}

// ParseToken reads a token. It fails with ErrToken.
func ParseToken(token string) (streams.Token, error) {
	topic, rest, _ := strings.Cut(token, ":")
	at := strings.LastIndexByte(rest, ':')
	if at < 1 || topic == "" || keepable(token) != nil {
		return streams.Token{}, fmt.Errorf("%q: %w", token, ErrToken)
	}
	seq, err := strconv.ParseInt(rest[at+1:], 10, 64)
	if err != nil || seq < 1 {
		return streams.Token{}, fmt.Errorf("%q: %w", token, ErrToken)
	}
	return streams.Token{Source: streams.Source{Topic: topic, Lane: streams.Lane(rest[:at])}, Seq: seq}, nil
}
