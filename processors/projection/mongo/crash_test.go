//go:build real

package mongo_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/mongo"
	"github.com/weirstream/weir/processors/projection/projectiontest"
	"github.com/weirstream/weir/processors/projection/sqlite"
	"github.com/weirstream/weir/streams/business"
	"github.com/weirstream/weir/streams/streamtest"
)

func connect(t testing.TB, address, database string) *projection.Model {
	t.Helper()
	s, err := mongo.Open(context.Background(), address, database, projectiontest.Views)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return projection.New(s)
}

// wanted is what SQLite, whose batches are transactions, makes of the same log.
func wanted(t testing.TB, l *projectiontest.Log) []string {
	t.Helper()
	s, err := sqlite.Open(t.TempDir()+"/read.db", projectiontest.Views)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	m := projection.New(s)
	l.CatchUp(t, m, l.Config(projectiontest.Deposit))
	return projectiontest.Answers(t, m)
}

// The process dies at every command of a batch in turn, before or after the
// server has acted. Whoever comes next makes it whole, and counts nothing twice.
func TestACrashAtEveryCommand(t *testing.T) {
	streamtest.Real(t, "mongo")
	whole := projectiontest.NewLog(t)
	whole.Produce(whole.Lend(4)...)
	want := wanted(t, whole)
	for f, name := range map[fate]string{lost: "lost", unheard: "unheard"} {
		for n, died := int(f), true; died; n += 2 { // odd and even ones: many are on their way at once, in no order
			if n > 150 {
				t.Fatal("it dies for ever")
			}
			died = false
			ok := t.Run(fmt.Sprint(name, n), func(t *testing.T) { died = crashAt(t, n, f, want) })
			if !ok {
				return
			}
			if !died && n < 15 {
				t.Errorf("a claim and a batch are %d commands only: what was tried?", n-1)
			}
		}
	}
}

// crashAt dies at the n-th command of a claim and a batch; false if they have fewer.
func crashAt(t *testing.T, n int, f fate, want []string) bool {
	db, address := database(t)
	l, after := projectiontest.NewLog(t), connect(t, address, db.Name())
	recs := l.Lend(4)
	l.Produce(recs[:len(recs)/2]...)
	l.CatchUp(t, after, l.Config(projectiontest.Deposit))
	l.Produce(recs[len(recs)/2:]...)

	ctx, die := context.WithCancel(context.Background())
	defer die()
	var armed atomic.Bool
	said := 0
	before := connect(t, newWire(t, address, func(string, string) fate {
		if !armed.Load() {
			return pass
		}
		if said++; said != n {
			return pass
		}
		return f
	}, die), db.Name())
	armed.Store(true)
	ended := make(chan error, 1)
	go func() { ended <- before.Run(ctx, l.Config(projectiontest.Deposit)) }()
	for behind := "?"; ctx.Err() == nil && behind != ""; time.Sleep(10 * time.Millisecond) {
		var err error
		if behind, err = l.Behind(after); err != nil {
			t.Fatal(err)
		}
	}
	died := ctx.Err() != nil
	die()
	if err := <-ended; err != nil {
		t.Fatalf("the run ended with %v", err)
	}
	l.CatchUp(t, after, l.Config(projectiontest.Deposit))
	projectiontest.Differ(t, want, projectiontest.Answers(t, after))
	return died
}

// Commands and answers get lost all the time, and a run goes on to the end
// without another one being needed.
func TestARunOutlivesABadNetwork(t *testing.T) {
	db, address := database(t)
	l := projectiontest.NewLog(t)
	said, moves, broken := 0, 0, map[fate]int{}
	m := connect(t, newWire(t, address, func(command, collection string) (f fate) {
		if command == "update" && collection == "cursors" {
			moves++ // or a claim's
		}
		switch said++; {
		case said < 30: // Open comes first
		case command == "update" && collection == "cursors" && moves%2 == 0:
			f = unheard // the cursors move, and nobody hears of it
		case said%23 == 0:
			f = lost
		}
		broken[f]++
		return f
	}, func() {}), db.Name())
	stop := projectiontest.Start(t, m, l.Config(projectiontest.Deposit))
	recs := l.Lend(12)
	for len(recs) > 0 {
		n := min(10, len(recs))
		l.Produce(recs[:n]...)
		recs = recs[n:]
		time.Sleep(100 * time.Millisecond)
	}
	direct := connect(t, address, db.Name())
	l.CaughtUp(t, direct)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if broken[lost] == 0 || broken[unheard] == 0 {
		t.Errorf("the network broke %v only", broken)
	}
	projectiontest.Differ(t, wanted(t, l), projectiontest.Answers(t, direct))
}

// The server goes down, in peace and by force, under a run that is never
// started again: the read model lags, and ends up as SQLite's of the same log.
func TestAServerThatRestartsUnderLoad(t *testing.T) {
	db, address := database(t)
	l, m := projectiontest.NewLog(t), connect(t, address+"?serverSelectionTimeoutMS=200", db.Name())
	var outages atomic.Int32
	cfg := l.Config(projectiontest.Deposit)
	cfg.Log = slog.New(counter{&outages})
	stop := projectiontest.Start(t, m, cfg)
	recs := l.Lend(40)
	third := len(recs) / 3
	produced := make(chan struct{})
	go func() {
		defer close(produced)
		for _, r := range recs[:third] {
			l.Produce(r)
			time.Sleep(20 * time.Millisecond)
		}
	}()
	streamtest.Servers(t, "restart", "mongo")
	<-produced
	streamtest.Servers(t, "kill", "mongo")
	l.Produce(recs[third : 2*third]...)
	for end := time.Now().Add(20 * time.Second); outages.Load() == 0 && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	if outages.Load() == 0 {
		t.Error("the run has not noticed that the server is away")
	}
	streamtest.Servers(t, "start", "mongo")
	l.Produce(recs[2*third:]...)
	l.CaughtUp(t, m)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	projectiontest.Differ(t, wanted(t, l), projectiontest.Answers(t, m))
}

// Between reading a document and swapping it, another writer gets ahead: what
// it wrote stays, and is counted once.
func TestASwapThatIsOvertaken(t *testing.T) {
	for contested, before := range map[string]int64{"view_loans": 5, "view_members": 5, "correlations": 5, "sagas": 0} { // events that are there already
		t.Run(contested, func(t *testing.T) {
			db, address := database(t)
			owner := connect(t, address, db.Name())
			read := []projection.Cursor{{Topic: "desk.loan", TopicID: [16]byte{1}}}
			var claims [2]projection.Claim
			for i := range claims {
				var err error
				if claims[i], err = owner.Claim(t.Context(), 3, read); err != nil {
					t.Fatal(err)
				}
			}
			if before > 0 {
				if err := owner.Write(t.Context(), projectiontest.Batch(claims[1].Epoch, 0, before)); err != nil {
					t.Fatal(err)
				}
			}
			overtaken := 0
			slow := connect(t, newWire(t, address, func(command, collection string) fate {
				if collection == contested && (command == "insert" || command == "update") {
					if overtaken++; overtaken == 1 {
						if err := owner.Write(t.Context(), projectiontest.Batch(claims[1].Epoch, before, 10)); err != nil {
							t.Error(err)
						}
					}
				}
				return pass
			}, func() {}), db.Name())
			if err := slow.Write(t.Context(), projectiontest.Batch(claims[0].Epoch, before, 5)); !errors.Is(err, projection.ErrFenced) {
				t.Errorf("the slow writer: got error %v, want ErrFenced", err)
			}
			sagas, err := owner.Saga(t.Context(), "c")
			if err != nil || overtaken == 0 || sagas[0].Events != before+10 {
				t.Errorf("sagas are %+v, want one of %d events (%v); overtaken %d times", sagas, before+10, err, overtaken)
			}
			var loan, member struct {
				Delayed int64 `bson:"f_delayed_at"`
				Loans   int64 `bson:"f_loans"`
			}
			if err := db.Collection("view_loans").FindOne(t.Context(), bson.D{}).Decode(&loan); err != nil || loan.Delayed != before+9 {
				t.Errorf("the loan was delayed at %d, want the last, %d (%v)", loan.Delayed, before+9, err)
			}
			if err := db.Collection("view_members").FindOne(t.Context(), bson.D{}).Decode(&member); err != nil || member.Loans != before+10 {
				t.Errorf("the member has %d loans, want each once, %d (%v)", member.Loans, before+10, err)
			}
		})
	}
}

// counter counts the warnings of a log.
type counter struct{ n *atomic.Int32 }

func (c counter) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (c counter) Handle(context.Context, slog.Record) error {
	c.n.Add(1)
	return nil
}

func (c counter) WithAttrs([]slog.Attr) slog.Handler { return c }

func (c counter) WithGroup(string) slog.Handler { return c }

func TestAnotherSchemaIsRefused(t *testing.T) {
	db, address := database(t)
	if _, err := db.Collection("platform").InsertOne(t.Context(), bson.D{{Key: "_id", Value: "read model"}, {Key: "schema", Value: 99}}); err != nil {
		t.Fatal(err)
	}
	if _, err := mongo.Open(t.Context(), address, db.Name(), projectiontest.Views); err == nil || !strings.Contains(err.Error(), "schema version 99") {
		t.Errorf("opened with %v", err)
	}
	if names, err := db.ListCollectionNames(t.Context(), bson.D{}); err != nil || len(names) != 1 {
		t.Errorf("a refused database has collections %v (%v)", names, err)
	}
}

func TestOtherViewsAreRefused(t *testing.T) {
	db, address := database(t)
	connect(t, address, db.Name())
	before, err := db.ListCollectionNames(t.Context(), bson.D{})
	if err != nil {
		t.Fatal(err)
	}
	others := append([]*business.View{{Name: "shelves", One: "shelf", Key: projectiontest.TitleID(""), From: projectiontest.Titles.From}}, projectiontest.Views...)
	_, err = mongo.Open(t.Context(), address, db.Name(), others)
	if err == nil || !strings.Contains(err.Error(), "made for other views") || !strings.Contains(err.Error(), "drop it") {
		t.Errorf("opened with %v", err)
	}
	if after, err := db.ListCollectionNames(t.Context(), bson.D{}); err != nil || len(after) != len(before) {
		t.Errorf("a refused database has collections %v, had %v (%v)", after, before, err)
	}
	turned := []*business.View{projectiontest.Members, projectiontest.Loans, projectiontest.Titles}
	s, err := mongo.Open(t.Context(), address, db.Name(), turned)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
