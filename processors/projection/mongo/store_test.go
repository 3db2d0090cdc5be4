package mongo_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/mongo"
)

func TestAnAddressIsNotQuoted(t *testing.T) {
	for _, address := range []string{"mongodb://ada:s3cret/x@127.0.0.1:1/", "mongodb://ada:s3cret@127.0.0.1:s3cret/", "s3cret"} {
		if _, err := mongo.Open(context.Background(), address, "weir", nil); err == nil || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("opened with %v", err)
		}
	}
}

func TestAServerThatIsAway(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0") // takes connections, and answers nothing
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for _, l := range []net.Listener{closed, silent} {
		began := time.Now()
		_, err := mongo.Open(context.Background(), "mongodb://"+l.Addr().String()+"/?serverSelectionTimeoutMS=500", "weir", nil)
		if !errors.Is(err, projection.ErrUnavailable) {
			t.Errorf("opened with %v, want ErrUnavailable", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("it took %v to say so", took)
		}
	}
}
