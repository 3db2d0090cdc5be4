package postgres

import (
	"context"
	"crypto/rand"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/weirstream/weir/streams"
)

var _ streams.Renewer = (*Store)(nil)

// Renew mints a new incarnation, in one transaction: half of it would be a store
// whose lanes number on under a new name, with gaps that halt readers. Done twice,
// as a broken connection may have it, it does no harm.
func (s *Store) Renew(ctx context.Context) (streams.StoreInfo, error) {
	incarnation := rand.Text()
	err := s.do(ctx, passes, func(ctx context.Context, c *pgxpool.Conn) error {
		return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error { return s.renew(ctx, tx, incarnation) })
	})
	if err != nil {
		return streams.StoreInfo{}, s.explain(ctx, "renew", err)
	}
	return s.Info(ctx, 0)
}

func (s *Store) renew(ctx context.Context, tx pgx.Tx, incarnation string) error {
	if _, err := tx.Exec(ctx, s.sql("UPDATE weir.store SET incarnation=$1"), incarnation); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, s.sql("SELECT lane,maps FROM weir.cursors ORDER BY lane FOR UPDATE"))
	if err != nil {
		return err
	}
	cursors, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (*streams.Cursor, error) {
		v := r.RawValues()
		c := &streams.Cursor{Lane: int32(num(v[0]))}
		if err := c.UnmarshalMaps(blob(v[1])); err != nil {
			return nil, fmt.Errorf("cursor of lane %d: %w", c.Lane, err)
		}
		return c, nil
	})
	if err != nil {
		return err
	}
	for _, c := range cursors {
		if _, err := tx.Exec(ctx, s.sql("UPDATE weir.cursors SET epoch=epoch+1,rev=rev+1,maps=$2 WHERE lane=$1"), c.Lane, c.Renewed().MarshalMaps()); err != nil {
			return err
		}
	}
	return nil
}
