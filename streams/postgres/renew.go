package postgres

import (
	"context"
	"crypto/rand"

	"github.com/weirstream/weir/streams"
)

var _ streams.Renewer = (*Store)(nil)

// Renew mints a new incarnation.
func (s *Store) Renew(ctx context.Context) (streams.StoreInfo, error) {
	var lanes []int32
	err := s.query(ctx, "renew", "SELECT lane FROM cursors ORDER BY lane", nil, func(r row) error {
		lanes = append(lanes, int32(num(r[0])))
		return nil
	})
	if err != nil {
		return streams.StoreInfo{}, err
	}
	// The new name first: should what follows be cut short, numbering goes on
	// under it with gaps that halt readers, and renewing again mends them.
	if err := s.exec(ctx, "renew", "UPDATE store SET incarnation=$1", rand.Text()); err != nil {
		return streams.StoreInfo{}, err
	}
	for _, lane := range lanes {
		c, err := s.Cursor(ctx, lane)
		if err != nil {
			return streams.StoreInfo{}, err
		}
		if err := s.exec(ctx, "renew", "UPDATE cursors SET epoch=epoch+1,rev=rev+1,maps=$2 WHERE lane=$1", lane, c.Renewed().MarshalMaps()); err != nil {
			return streams.StoreInfo{}, err
		}
	}
	return s.Info(ctx, 0)
}
