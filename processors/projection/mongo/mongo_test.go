//go:build real

package mongo_test

import (
	"context"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	driver "go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/mongo"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/streams/streamtest"
)

// database is one of the test's own, which goes with it.
func database(t testing.TB) (*driver.Database, string) {
	t.Helper()
	address := streamtest.Real(t, "mongo")
	client, err := driver.Connect(options.Client().ApplyURI(address))
	if err != nil {
		t.Fatal(err)
	}
	db := client.Database("weir_test_" + bson.NewObjectID().Hex())
	t.Cleanup(func() {
		if err := db.Drop(context.Background()); err != nil {
			t.Error(err)
		}
		if err := client.Disconnect(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return db, address
}

func open(t testing.TB) func() projection.Store {
	db, address := database(t)
	return func() projection.Store {
		s, err := mongo.Open(t.Context(), address, db.Name(), projectiontest.Views)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
}

func TestStore(t *testing.T) { projectiontest.Run(t, open) }

func BenchmarkRun(b *testing.B) { projectiontest.Benchmark(b, open) }
