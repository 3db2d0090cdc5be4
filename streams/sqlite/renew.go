package sqlite

import (
	"context"
	"crypto/rand"
	"database/sql/driver"

	"github.com/weirstream/weir/streams"
)

var _ streams.Renewer = (*Store)(nil)

// Renew mints a new incarnation. Other openers of the file keep the old one in
// mind: there must be none.
func (s *Store) Renew(ctx context.Context) (streams.StoreInfo, error) {
	incarnation := rand.Text()
	err := s.do(ctx, "renew", func(w *writer) error {
		var lanes []int32
		err := w.query("SELECT lane FROM cursors", nil, func(r []driver.Value) error {
			lanes = append(lanes, int32(num(r[0])))
			return nil
		})
		if err != nil {
			return err
		}
		for _, lane := range lanes {
			c, err := readCursor(w.conn, lane, incarnation)
			if err != nil {
				return err
			}
			if _, err := w.exec("UPDATE cursors SET epoch=epoch+1,rev=rev+1,maps=? WHERE lane=?", c.Renewed().MarshalMaps(), int64(lane)); err != nil {
				return err
			}
		}
		_, err = w.exec("UPDATE store SET incarnation=?", incarnation)
		return err
	})
	if err != nil {
		return streams.StoreInfo{}, err
	}
	s.incarnation = incarnation
	return s.Info(ctx, 0)
}
