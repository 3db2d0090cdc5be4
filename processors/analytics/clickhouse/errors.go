package clickhouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"syscall"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/weirstream/weir/processors/projection"
)

// passing are the server's errors that waiting may cure: it is busy, full, read-only,
// starting or away from its keeper.
// https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp
var passing = []int32{
	3,   // UNEXPECTED_END_OF_FILE
	23,  // CANNOT_READ_FROM_ISTREAM
	32,  // ATTEMPT_TO_READ_AFTER_EOF
	74,  // CANNOT_READ_FROM_FILE_DESCRIPTOR
	75,  // CANNOT_WRITE_TO_FILE_DESCRIPTOR
	76,  // CANNOT_OPEN_FILE
	159, // TIMEOUT_EXCEEDED
	164, // READONLY
	201, // QUOTA_EXCEEDED
	202, // TOO_MANY_SIMULTANEOUS_QUERIES
	209, // SOCKET_TIMEOUT
	210, // NETWORK_ERROR
	225, // NO_ZOOKEEPER
	241, // MEMORY_LIMIT_EXCEEDED
	242, // TABLE_IS_READ_ONLY
	243, // NOT_ENOUGH_SPACE
	252, // TOO_MANY_PARTS
	279, // ALL_CONNECTION_TRIES_FAILED
	285, // TOO_FEW_LIVE_REPLICAS
	286, // UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE
	289, // REPLICA_IS_NOT_IN_QUORUM
	319, // UNKNOWN_STATUS_OF_INSERT
	335, // TABLE_IS_BEING_DROPPED... or made, by a swap
	394, // QUERY_WAS_CANCELLED
	425, // SYSTEM_ERROR
	473, // DEADLOCK_AVOIDED
	999, // KEEPER_EXCEPTION
}

// known tells what is passing. What the server refuses for good is for a person: rows are
// made so that it can take them, and leaving one out would break the block.
func known(err error) error {
	var exception *clickhouse.Exception
	var netErr net.Error
	var errno syscall.Errno
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.As(err, &exception):
		if exception.Code == 469 { // VIOLATED_CONSTRAINT
			return fmt.Errorf("the tables were swapped for others: %w: %w", projection.ErrFenced, err)
		}
		if slices.Contains(passing, exception.Code) {
			return fmt.Errorf("%w: %w", projection.ErrUnavailable, err)
		}
		return fmt.Errorf("ClickHouse: %w", err)
	case errors.As(err, &netErr), errors.As(err, &errno), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, context.DeadlineExceeded),
		errors.Is(err, clickhouse.ErrAcquireConnTimeout), errors.As(err, new(*clickhouse.HTTPError)):
		return fmt.Errorf("%w: %w", projection.ErrUnavailable, err)
	}
	return fmt.Errorf("ClickHouse: %w", err)
}
