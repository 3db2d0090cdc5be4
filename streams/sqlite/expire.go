package sqlite

import (
	"context"
	"time"
)

// expireRows is how much Expire removes at once: lanes wait behind it.
const expireRows = 1000

// Expire forgets replies and external ids taken before a time.
func (s *Store) Expire(ctx context.Context, before time.Time) error {
	for _, query := range [...]string{
		"DELETE FROM replies WHERE (lane,id) IN (SELECT lane,id FROM replies WHERE at<? ORDER BY at LIMIT ?)",
		"DELETE FROM externals WHERE (lane,source,id) IN (SELECT lane,source,id FROM externals WHERE at<? ORDER BY at LIMIT ?)",
	} {
		for n := int64(expireRows); n == expireRows; {
			err := s.do(ctx, "expire", func(w *writer) (err error) {
				n, err = w.exec(query, nanos(before), int64(expireRows))
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}
