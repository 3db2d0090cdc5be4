package mongo

import (
	"context"
	"errors"
	"fmt"

	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/weirstream/weir/processors/projection"
)

// passing are the codes of a server that is about to be another one, or cannot
// answer now: those of MongoDB's retryable writes specification, a write concern
// that was not met in time (64, 100), and an internal error (1), as which
// FerretDB reports a database that is being closed.
var passing = []int{1, 6, 7, 50, 64, 89, 91, 100, 112, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436}

// failed says what failed, and whether waiting may cure it. An error that no
// server has answered is one of the way there.
func failed(ctx context.Context, what string, err error) error {
	if cause := ctx.Err(); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%s: %w: %w", what, cause, err)
	}
	if ctx.Err() == nil && away(err) {
		return fmt.Errorf("%s: %w: %w", what, projection.ErrUnavailable, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func away(err error) bool {
	var server driver.ServerError
	if errors.As(err, &server) && !driver.IsNetworkError(err) && !driver.IsTimeout(err) {
		for _, code := range passing {
			if server.HasErrorCode(code) {
				return true
			}
		}
		return false
	}
	var marshal driver.MarshalError
	return !errors.As(err, &marshal) && !errors.Is(err, driver.ErrClientDisconnected)
}

// repeats tells that nothing is wrong but that documents were there already.
func repeats(err error) bool {
	var bulk driver.BulkWriteException
	if !errors.As(err, &bulk) || bulk.WriteConcernError != nil {
		return false
	}
	for _, e := range bulk.WriteErrors {
		if !driver.IsDuplicateKeyError(e) {
			return false
		}
	}
	return len(bulk.WriteErrors) > 0
}
