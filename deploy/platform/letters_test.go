package platform

import (
	"encoding/json"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/sqlite"
)

// onEmptyStores is the shop on empty event stores.
func onEmptyStores(t *testing.T, partitions int32) *platform {
	t.Helper()
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	p := &platform{Options: Options{Config: config.Config{Partitions: partitions}}, topology: top, stores: map[string]streams.Store{}}
	for _, s := range top.Services {
		store, err := sqlite.Open(filepath.Join(t.TempDir(), s.Name), sqlite.WithoutSync())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		p.stores[s.Name] = store
	}
	return p
}

// A run that is over tells what of it waits for a person.
func TestParkedInputsAreToldAtTheEnd(t *testing.T) {
	p, want := onEmptyStores(t, 2), ""
	for n, s := range p.topology.Services {
		if park(t, p.stores[s.Name], 1, n%3) > 0 {
			want += fmt.Sprintf("parked at %s: %d, the first of d \"0\": \n", s.Name, n%3)
		}
	}
	if got, err := p.standing(t.Context()); err != nil || got != want {
		t.Errorf("got %q (%v), want %q", got, err, want)
	}
}

// However many inputs are parked, and wherever a page ends, following the pages
// shows each of them once.
func TestPagesShowEveryParkedInputOnce(t *testing.T) {
	p, want := onEmptyStores(t, 3), 0
	for n, s := range p.topology.Services {
		for lane := range int32(3) {
			want += park(t, p.stores[s.Name], lane, (n+int(lane))%4) // none in some
		}
	}
	for limit := 1; limit <= want+1; limit++ {
		seen, pages := map[string]bool{}, 0
		for q := (url.Values{"limit": {fmt.Sprint(limit)}}); ; pages++ {
			g, err := readPage(q)
			if err != nil {
				t.Fatal(err)
			}
			l, err := p.allLetters(t.Context(), "", g)
			if err != nil || len(l.DeadLetters) > limit || pages > want {
				t.Fatalf("%d of at most %d on page %d: %v", len(l.DeadLetters), limit, pages, err)
			}
			for _, x := range l.DeadLetters {
				if name := x.Service + " " + x.ID; seen[name] {
					t.Errorf("pages of %d show %s twice", limit, name)
				} else {
					seen[name] = true
				}
			}
			if q.Set("page", l.Next); l.Next == "" {
				break
			}
		}
		if len(seen) != want {
			t.Errorf("pages of %d show %d of %d", limit, len(seen), want)
		}
	}
	for _, q := range []string{"limit=0", "limit=x", "limit=1001", "page=x", "page=order~x~1", "page=a~1"} {
		v, _ := url.ParseQuery(q)
		if _, err := readPage(v); err == nil {
			t.Errorf("%s is taken", q)
		}
	}
}

// A letter shows what was parked and why, in the same form wherever it is asked for, and
// nothing that the business declares as personal.
func TestLetterHidesWhatIsPersonal(t *testing.T) {
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlite.Open(filepath.Join(t.TempDir(), "order"), sqlite.WithoutSync())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	c, err := store.Claim(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	c.LastSeq = 1
	tx := &streams.Tx{Cursor: c, Parked: []streams.ParkedInput{{Seq: 1, Stream: streams.StreamID{Decider: "order", Key: "4006381333931234"}, Kind: streams.CommandInput, ID: "c-1", Name: "place-order",
		Body:   []byte(`{"order":"4006381333931234","customer":"c-7","email":"ada@example.org","card":"tok_secret","ship_to":{"street":"1 Mill Lane"},"note":"` + strings.Repeat("x", 9000) + `"}`),
		Reason: "order panicked: tok_secret is spent", Stack: "order.go:1 tok_secret"}}}
	if err := store.Commit(t.Context(), 0, tx); err != nil {
		t.Fatal(err)
	}
	p := &platform{Options: Options{Config: config.Config{Partitions: 1}}, topology: top, stores: map[string]streams.Store{"order": store}}
	l, err := p.allLetters(t.Context(), "order", letterPage{limit: 10})
	if err != nil || len(l.DeadLetters) != 1 {
		t.Fatalf("%+v, %v", l, err)
	}
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"ada@", "tok_secret", "Mill Lane", "xxxx"} {
		if strings.Contains(string(b), secret) {
			t.Errorf("%s is shown: %s", secret, b)
		}
	}
	if x := l.DeadLetters[0]; !strings.Contains(x.Data, `"order": "4006381333931234"`) || x.Reason != "order panicked: ••• is spent" {
		t.Errorf("%+v", x)
	}
}

func park(t *testing.T, s streams.Store, lane int32, n int) int {
	t.Helper()
	c, err := s.Claim(t.Context(), lane)
	if err != nil {
		t.Fatal(err)
	}
	tx := &streams.Tx{Cursor: c}
	for i := range n {
		c.LastSeq = int64(i + 1)
		tx.Parked = append(tx.Parked, streams.ParkedInput{Seq: c.LastSeq, Stream: streams.StreamID{Decider: "d", Key: fmt.Sprint(i)},
			Kind: streams.EventInput, ID: fmt.Sprint(lane, "-", i), Name: "x"})
	}
	if err := s.Commit(t.Context(), lane, tx); err != nil {
		t.Fatal(err)
	}
	return n
}
