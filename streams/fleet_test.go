package streams_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/streamtest"
)

// The fleet is the runtime's own test business. A teller (service front) books
// deposits to accounts and tells the branch; the back office follows both, in
// two deciders keyed by account and by branch.

type account string

func (account) Kind() string     { return "account" }
func (a account) String() string { return string(a) }

type branch string

func (branch) Kind() string     { return "branch" }
func (b branch) String() string { return string(b) }

type deposit struct {
	Account account `json:"account"`
	Branch  branch  `json:"branch"`
	Amount  int64   `json:"amount"`
}

func (d deposit) Key() streams.Key { return d.Account }

type deposited struct {
	Account account `json:"account"`
	Amount  int64   `json:"amount"`
	Balance int64   `json:"balance"`
	N       int64   `json:"n"`
	Memo    string  `json:"memo,omitempty"`
}

func (d deposited) Key() streams.Key { return d.Account }

type taken struct {
	Branch  branch  `json:"branch"`
	Account account `json:"account"`
	Amount  int64   `json:"amount"`
	N       int64   `json:"n"` // of the account
}

func (t taken) Key() streams.Key { return t.Branch }

type followed struct {
	Account account `json:"account"`
	Balance int64   `json:"balance"`
	Gap     bool    `json:"gap"`
}

func (f followed) Key() streams.Key { return f.Account }

type counted struct {
	Branch branch `json:"branch"`
	Amount int64  `json:"amount"`
	Gap    bool   `json:"gap"`
}

func (c counted) Key() streams.Key { return c.Branch }

// bonus comes from outside.
type bonus struct {
	Account account `json:"account"`
	Amount  int64   `json:"amount"`
	Fail    bool    `json:"fail"`
	Pad     int     `json:"pad"`    // bytes of memo in the event that follows
	Branch  branch  `json:"branch"` // default head-office
}

func (b bonus) Key() streams.Key { return b.Account }

type tellerState struct{ Balance, N int64 }

func (s tellerState) evolve(e streams.Event) tellerState {
	if d, ok := e.(deposited); ok {
		s.Balance, s.N = d.Balance, d.N
	}
	return s
}

func (s tellerState) deposit(d deposit, in streams.Input) streams.Decision {
	if d.Amount <= 0 {
		return streams.Reject(streams.Invalid, "amount", "a deposit of %d", d.Amount)
	}
	return streams.Emit(
		deposited{d.Account, d.Amount, s.Balance + d.Amount, s.N + 1, ""},
		taken{d.Branch, d.Account, d.Amount, s.N + 1},
	).Reply(map[string]int64{"balance": s.Balance + d.Amount})
}

func (s tellerState) bonus(b bonus, _ streams.Input) streams.Decision {
	if b.Fail {
		panic("a poison bonus")
	}
	if b.Branch == "" {
		b.Branch = "head-office"
	}
	return streams.Emit(deposited{b.Account, b.Amount, s.Balance + b.Amount, s.N + 1, strings.Repeat("x", b.Pad)}, taken{b.Branch, b.Account, b.Amount, s.N + 1})
}

type followState struct {
	Balance, N int64
	Gaps       int
}

func (s followState) evolve(e streams.Event) followState {
	if f, ok := e.(followed); ok {
		s.Balance, s.N = f.Balance, s.N+1
		if f.Gap {
			s.Gaps++
		}
	}
	return s
}

func (s followState) deposited(d deposited, _ streams.Input) streams.Decision {
	return streams.Emit(followed{d.Account, s.Balance + d.Amount, d.N != s.N+1 || d.Balance != s.Balance+d.Amount})
}

type branchState struct {
	Amount int64
	Last   map[account]int64
	Gaps   int
}

func (s branchState) evolve(e streams.Event) branchState {
	if c, ok := e.(counted); ok {
		s.Amount += c.Amount
		if c.Gap {
			s.Gaps++
		}
	}
	return s
}

func (s branchState) taken(t taken, _ streams.Input) streams.Decision {
	return streams.Emit(counted{t.Branch, t.Amount, false})
}

var (
	teller = streams.Define("teller", account(""), tellerState.evolve,
		streams.OnCommand("deposit", tellerState.deposit, deposited{}, taken{}),
		streams.On(tellerState.bonus, deposited{}, taken{}))
	follower = streams.Define("follower", account(""), followState.evolve, streams.On(followState.deposited, followed{}))
	office   = streams.Define("office", branch(""), branchState.evolve, streams.On(branchState.taken, counted{}))

	fleetFacts = []streams.Fact{
		streams.NewFact[deposited]("teller.deposited"), streams.NewFact[taken]("teller.taken"),
		streams.NewFact[followed]("follower.followed"), streams.NewFact[counted]("office.counted"),
		streams.NewFact[bonus]("bonus", streams.External()),
	}
	front = streams.Service{Name: "front", Deciders: []*streams.Decider{teller}}
	back  = streams.Service{Name: "back", Deciders: []*streams.Decider{follower, office}}
)

func fleet(t testing.TB) *streams.Topology {
	t.Helper()
	v, err := streams.NewVocabulary(fleetFacts...)
	if err != nil {
		t.Fatal(err)
	}
	top, err := streams.NewTopology(v, []streams.Service{front, back})
	if err != nil {
		t.Fatal(err)
	}
	return top
}

// book sends deposits, each until it is answered, and returns their sum.
func book(ctx context.Context, t testing.TB, c *streamtest.Cluster, from, to int) (sum int64) {
	t.Helper()
	for n := from; n < to; n++ {
		cmd, err := streams.NewCommand(fmt.Sprint("d-", n), "deposit", deposit{account(fmt.Sprint("acc-", n%7)), branch(fmt.Sprint("br-", n%3)), int64(n + 1)})
		if err != nil {
			t.Fatal(err)
		}
		limited, cancel := context.WithTimeout(ctx, 5*time.Minute)
		r, err := c.Send(limited, cmd)
		cancel()
		if err != nil {
			t.Fatalf("deposit %d: %v; %v", n, err, c.Lanes())
		}
		if r.Status != streams.ReplyDone {
			t.Fatalf("deposit %d: %s %s", n, r.Status, r.Body)
		}
		sum += int64(n + 1)
	}
	return sum
}

// post produces bonuses as ingestion would.
func post(ctx context.Context, t testing.TB, c *streamtest.Cluster, id string, b bonus) {
	t.Helper()
	cl, err := kgo.NewClient(append(c.Client(), kgo.RecordPartitioner(kgo.ManualPartitioner()))...)
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	data, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	key := b.Account.String()
	env := streams.Envelope{ID: id, Type: "bonus", Source: "test", Time: time.Now(), Key: key, Data: data}
	if err := cl.ProduceSync(ctx, env.Record("external.account", streams.Partition(key, c.Partitions))).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// want waits until the back office has followed everything, and checks that
// nothing was lost, doubled or reordered.
func want(t testing.TB, c *streamtest.Cluster, sum int64, events int64) {
	t.Helper()
	var got string
	for range 600 {
		time.Sleep(100 * time.Millisecond)
		if got = fleetTotals(t, c); got == fmt.Sprintf("accounts %d in %d, branches %d, gaps 0", sum, events, sum) {
			time.Sleep(5 * time.Second) // and nothing more comes
			if again := fleetTotals(t, c); again != got {
				t.Fatalf("after the end came more: %s, then %s", got, again)
			}
			return
		}
	}
	t.Fatalf("got  %s\nwant accounts %d in %d, branches %d, gaps 0", got, sum, events, sum)
}

func fleetTotals(t testing.TB, c *streamtest.Cluster) string {
	t.Helper()
	s := c.OpenStore("back")
	defer s.Close()
	var ids []streams.StreamID
	for n := range 7 {
		ids = append(ids, streams.StreamID{Decider: "follower", Key: fmt.Sprint("acc-", n)})
	}
	for n := range 3 {
		ids = append(ids, streams.StreamID{Decider: "office", Key: fmt.Sprint("br-", n)})
	}
	ids = append(ids, streams.StreamID{Decider: "office", Key: "head-office"})
	var accounts, events, branches int64
	gaps := 0
	for p := range c.Partitions {
		snaps, err := s.Load(context.Background(), p, ids)
		if err != nil {
			t.Fatal(err)
		}
		for _, sn := range snaps {
			if streams.Partition(sn.Stream.Key, c.Partitions) != p {
				continue
			}
			var f followState
			var b branchState
			if sn.Stream.Decider == "follower" {
				if err := json.Unmarshal(sn.State, &f); err != nil {
					t.Fatal(err)
				}
			} else if err := json.Unmarshal(sn.State, &b); err != nil {
				t.Fatal(err)
			}
			accounts, events, branches, gaps = accounts+f.Balance, events+f.N, branches+b.Amount, gaps+f.Gaps+b.Gaps
		}
	}
	return fmt.Sprintf("accounts %d in %d, branches %d, gaps %d", accounts, events, branches, gaps)
}
