package projection

import (
	"context"
	"fmt"
)

// Offsets is the offset that comes next, by topic and partition, as stored.
func (s *Store) Offsets(ctx context.Context) (map[string]map[int32]int64, error) {
	rows, err := s.read.QueryContext(ctx, "SELECT topic, partition, next FROM cursors")
	if err != nil {
		return nil, fmt.Errorf("cursors of the read model: %w", err)
	}
	defer rows.Close()
	out := map[string]map[int32]int64{}
	for rows.Next() {
		var topic string
		var partition int32
		var next int64
		if err := rows.Scan(&topic, &partition, &next); err != nil {
			return nil, fmt.Errorf("cursors of the read model: %w", err)
		}
		if out[topic] == nil {
			out[topic] = map[int32]int64{}
		}
		out[topic][partition] = next
	}
	return out, rows.Err()
}
