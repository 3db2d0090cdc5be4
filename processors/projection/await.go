package projection

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/weirstream/weir/streams"
)

// ErrToken says that a token cannot be read.
var ErrToken = errors.New("the token is not of the form topic:lane:sequence")

// Await returns once the read model holds the event that a command's token
// names, so that who wrote reads the own write. It fails with ErrToken, or
// when ctx ends first.
func (s *Store) Await(ctx context.Context, token string) error {
	t, err := parseToken(token)
	if err != nil {
		return err
	}
	for {
		changed := s.next() // before the look, or a commit between the two is missed
		ok, err := s.holds(ctx, t)
		if ok || err != nil {
			return err
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return fmt.Errorf("the read model has not reached %s: %w", token, context.Cause(ctx))
		}
	}
}

func parseToken(token string) (streams.Token, error) {
	topic, rest, _ := strings.Cut(token, ":")
	at := strings.LastIndexByte(rest, ':')
	if at < 1 || topic == "" {
		return streams.Token{}, fmt.Errorf("%q: %w", token, ErrToken)
	}
	seq, err := strconv.ParseInt(rest[at+1:], 10, 64)
	if err != nil || seq < 1 {
		return streams.Token{}, fmt.Errorf("%q: %w", token, ErrToken)
	}
	return streams.Token{Source: streams.Source{Topic: topic, Lane: streams.Lane(rest[:at])}, Seq: seq}, nil
}

// holds looks for the event itself: the highest sequence of its lane proves
// nothing, as the lane's events lie in several partitions.
func (s *Store) holds(ctx context.Context, t streams.Token) (ok bool, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT
		EXISTS (SELECT 1 FROM history WHERE topic = ?1 AND lane = ?2 AND seq = ?3 AND lane <> '')
		OR EXISTS (SELECT 1 FROM seen WHERE topic = ?1 AND lane = ?2 AND pruned >= ?3)`, t.Topic, string(t.Lane), t.Seq).Scan(&ok)
	if err != nil {
		return false, fmt.Errorf("the read model cannot look for %s: %w", t, err)
	}
	return ok, nil
}
