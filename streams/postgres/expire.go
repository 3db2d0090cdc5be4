package postgres

import (
	"context"
	"time"
)

// expireRows is how much Expire removes at once: commits on the same rows wait
// behind it.
const expireRows = 1000

// Expire forgets replies and external ids taken before a time. Rows that a commit
// is replacing are left to the next time: it waits for nobody.
func (s *Store) Expire(ctx context.Context, before time.Time) error {
	for _, sql := range [...]string{
		"DELETE FROM weir.replies WHERE ctid=ANY(ARRAY(SELECT ctid FROM weir.replies WHERE at<$1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING 1",
		"DELETE FROM weir.externals WHERE ctid=ANY(ARRAY(SELECT ctid FROM weir.externals WHERE at<$1 ORDER BY at LIMIT $2 FOR UPDATE SKIP LOCKED)) RETURNING 1",
	} {
		for n := expireRows; n == expireRows; {
			n = 0
			err := s.query(ctx, "expire", sql, []any{nanos(before), expireRows}, func(row) error {
				n++
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
