package mongo

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	wire "go.mongodb.org/mongo-driver/v2/x/mongo/driver"

	"github.com/weirstream/weir/processors/projection"
)

// passing are the codes of a server that is about to be another one, or cannot
// answer now: those of MongoDB's retryable writes specification, a write concern
// that was not met in time (64, 100), and a full disk (14031).
var passing = []int{6, 7, 50, 64, 89, 91, 100, 112, 134, 189, 262, 9001, 10107, 11600, 11602, 13435, 13436, 14031}

// refusing are the codes of what a document cannot hold: a bad value or BSON (2,
// 22), names of fields (52, 55, 56, 57), and what is too large (10334, 17280,
// 17419, 17420).
var refusing = []int{2, 22, 52, 55, 56, 57, 10334, 17280, 17419, 17420}

// sqlState finds what PostgreSQL said, which FerretDB hands on as an internal
// error (1): its class tells more.
var sqlState = regexp.MustCompile(`SQLSTATE ([0-9A-Z]{2})`)

// Classes of SQLSTATEs, of PostgreSQL's manual, appendix A: no connection, out of
// resources, shut down, failed outside of it; and data that it cannot hold, or a
// limit of it.
var (
	passingStates  = []string{"08", "53", "57", "58"}
	refusingStates = []string{"22", "54"}
)

// failed says what failed, and whether waiting may cure it. An error that no
// server has answered is one of the way there. What a server does not explain is
// projection.ErrUnclear.
func failed(ctx context.Context, what string, err error) error {
	if cause := ctx.Err(); cause != nil {
		if errors.Is(err, cause) {
			return fmt.Errorf("%s: %w", what, err)
		}
		return fmt.Errorf("%s: %w: %w", what, cause, err)
	}
	if kind := kindOf(err); kind != nil {
		return fmt.Errorf("%s: %w: %w", what, kind, err)
	}
	return fmt.Errorf("%s: %w", what, err)
}

func kindOf(err error) error {
	var server driver.ServerError
	var marshal driver.MarshalError
	switch {
	case errors.Is(err, driver.ErrClientDisconnected):
		return nil
	case errors.As(err, &marshal), errors.Is(err, wire.ErrDocumentTooLarge):
		return projection.ErrRefused
	case errors.As(err, &server) && !driver.IsNetworkError(err) && !driver.IsTimeout(err):
		return kindOfAnswer(server)
	}
	return projection.ErrUnavailable
}

// kindOfAnswer trusts an answer that something is refused only if nothing else
// is wrong.
func kindOfAnswer(e driver.ServerError) error {
	has := func(code int) bool { return e.HasErrorCode(code) }
	state := ""
	if m := sqlState.FindStringSubmatch(e.Error()); m != nil {
		state = m[1]
	}
	switch {
	case slices.ContainsFunc(passing, has), slices.Contains(passingStates, state):
		return projection.ErrUnavailable
	case slices.ContainsFunc(refusing, has), slices.Contains(refusingStates, state):
		return projection.ErrRefused
	}
	return projection.ErrUnclear
}

// Ping reads the document of the read model as a whole.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, selectionTimeout)
	defer cancel()
	if err := s.db.Collection("platform").FindOne(ctx, bson.D{{Key: "_id", Value: platformID}}).Err(); err != nil {
		return failed(ctx, "the read model does not answer", err)
	}
	return nil
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
