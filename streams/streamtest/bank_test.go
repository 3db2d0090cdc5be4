package streamtest_test

import (
	"net/http"
	"time"

	"github.com/weirstream/weir/streams"
)

// The small business of the cheap simulations: a payment asks its account for
// the money, has it transferred by a bank outside, and ends in one of two ways.
// Both deciders have timers or compensations, and each topic has one kind of key.

type Account string

func (Account) Kind() string     { return "account" }
func (a Account) String() string { return string(a) }

type PaymentID string

func (PaymentID) Kind() string     { return "payment" }
func (p PaymentID) String() string { return string(p) }

type (
	Pay struct {
		Payment PaymentID
		Account Account
		Amount  int64
	}
	Deposited struct {
		Account Account
		Amount  int64
	}
	Asked struct {
		Payment PaymentID
		Account Account
		Amount  int64
	}
	GivenUp struct {
		Payment PaymentID
		Account Account
	}
	Spent struct {
		Payment PaymentID
		Account Account
	}
	Granted  struct{ Payment PaymentID }
	Refused  struct{ Payment PaymentID }
	Accepted struct{ Payment PaymentID }
	Paid     struct {
		Payment PaymentID
		Amount  int64
	}
	Failed struct {
		Payment PaymentID
		Reason  string
	}
	Archived struct{ Payment PaymentID }
	Noted    struct {
		Payment PaymentID
		Paid    bool
	}
	Credited struct {
		Account Account
		Amount  int64
	}
	Held struct {
		Account Account
		Payment PaymentID
		Amount  int64
	}
	Freed struct {
		Account Account
		Payment PaymentID
		Gone    bool // the money has left the account
	}
)

func (e Pay) Key() streams.Key       { return e.Payment }
func (e Deposited) Key() streams.Key { return e.Account }
func (e Asked) Key() streams.Key     { return e.Account }
func (e GivenUp) Key() streams.Key   { return e.Account }
func (e Spent) Key() streams.Key     { return e.Account }
func (e Granted) Key() streams.Key   { return e.Payment }
func (e Refused) Key() streams.Key   { return e.Payment }
func (e Accepted) Key() streams.Key  { return e.Payment }
func (e Paid) Key() streams.Key      { return e.Payment }
func (e Failed) Key() streams.Key    { return e.Payment }
func (e Archived) Key() streams.Key  { return e.Payment }
func (e Noted) Key() streams.Key     { return e.Payment }
func (e Credited) Key() streams.Key  { return e.Account }
func (e Held) Key() streams.Key      { return e.Account }
func (e Freed) Key() streams.Key     { return e.Account }

type transfer struct {
	Payment PaymentID
	Amount  int64
}

type transferred struct{ OK bool }

var moveMoney = streams.HTTPCall("transfer", "bank", 2*time.Second,
	func(t transfer) string { return string(t.Payment) + "/transfer" },
	func(t transfer) streams.HTTPRequest {
		return streams.HTTPRequest{Method: "POST", Path: "/transfers", Body: t}
	},
	func(_ transfer, r streams.HTTPResponse) (transferred, error) {
		return transferred{r.Status == http.StatusCreated}, nil
	})

// payment

type payment struct {
	Account          Account
	Amount           int64
	Asked, Asks, End bool
}

func (p payment) evolve(e streams.Event) payment {
	switch e := e.(type) {
	case Asked:
		p.Asked, p.Account, p.Amount = true, e.Account, e.Amount
	case Accepted:
		p.Asks = true
	case Paid, Failed:
		p.End = true
	}
	return p
}

func (p payment) pay(c Pay, _ streams.Input) streams.Decision {
	if p.Asked {
		return streams.Reject(streams.Conflict, "exists", "payment %s exists", c.Payment)
	}
	return streams.Emit(Asked(c)).After("expire", 20*time.Second, c.Payment).Reply("asked")
}

func (p payment) granted(e Granted, _ streams.Input) streams.Decision {
	if p.End || p.Asks || !p.Asked {
		return streams.Nothing()
	}
	return streams.Emit(Accepted(e)).Cancel("expire").Do(moveMoney.With(transfer{e.Payment, p.Amount}))
}

func (p payment) refused(e Refused, _ streams.Input) streams.Decision {
	if p.End {
		return streams.Nothing()
	}
	return streams.Emit(Failed{e.Payment, "no money"}).Cancel("expire")
}

func (p payment) expired(id PaymentID, _ streams.Input) streams.Decision {
	if p.End || p.Asks {
		return streams.Nothing()
	}
	return streams.Emit(GivenUp{id, p.Account}, Failed{id, "no answer"})
}

func (p payment) moved(o transferred, in streams.Input) streams.Decision {
	id := PaymentID(in.Key)
	if !o.OK {
		return streams.Emit(GivenUp{id, p.Account}, Failed{id, "declined"})
	}
	return streams.Emit(Spent{id, p.Account}, Paid{id, p.Amount}).After("archive", 15*time.Second, id)
}

func (p payment) archive(id PaymentID, _ streams.Input) streams.Decision {
	return streams.Emit(Archived{id})
}

// account

type account struct {
	Balance int64
	Holds   map[PaymentID]int64
}

func (a account) evolve(e streams.Event) account {
	switch e := e.(type) {
	case Credited:
		a.Balance += e.Amount
	case Held:
		if a.Holds == nil {
			a.Holds = map[PaymentID]int64{}
		}
		a.Holds[e.Payment] = e.Amount
	case Freed:
		if e.Gone {
			a.Balance -= a.Holds[e.Payment]
		}
		delete(a.Holds, e.Payment)
	}
	return a
}

func (a account) deposited(e Deposited, _ streams.Input) streams.Decision {
	return streams.Emit(Credited(e))
}

func (a account) asked(e Asked, _ streams.Input) streams.Decision {
	free := a.Balance
	for _, h := range a.Holds {
		free -= h
	}
	if free < e.Amount {
		return streams.Emit(Refused{e.Payment})
	}
	return streams.Emit(Held{e.Account, e.Payment, e.Amount}, Granted{e.Payment})
}

func (a account) givenUp(e GivenUp, _ streams.Input) streams.Decision {
	return a.free(e.Payment, e.Account, false)
}

func (a account) spent(e Spent, _ streams.Input) streams.Decision {
	return a.free(e.Payment, e.Account, true)
}

func (a account) free(p PaymentID, id Account, gone bool) streams.Decision {
	if _, ok := a.Holds[p]; !ok {
		return streams.Nothing()
	}
	return streams.Emit(Freed{id, p, gone})
}

// statement lives beside the accounts, and reads another topic of the payments:
// repeats have to be told apart by topic.

type statement struct{ Paid bool }

func (s statement) evolve(e streams.Event) statement {
	if n, ok := e.(Noted); ok {
		s.Paid = n.Paid
	}
	return s
}

func (s statement) paid(e Paid, _ streams.Input) streams.Decision {
	return streams.Emit(Noted{e.Payment, true})
}

func (s statement) failed(e Failed, _ streams.Input) streams.Decision {
	return streams.Emit(Noted{e.Payment, false})
}

func bankTopology() (*streams.Topology, error) {
	v, err := streams.NewVocabulary(streams.NewFact[Deposited]("deposited", streams.External()), streams.NewFact[Asked]("asked"), streams.NewFact[GivenUp]("given-up"),
		streams.NewFact[Spent]("spent"), streams.NewFact[Granted]("granted"), streams.NewFact[Refused]("refused"), streams.NewFact[Accepted]("accepted", streams.Private()),
		streams.NewFact[Paid]("paid"), streams.NewFact[Failed]("failed"), streams.NewFact[Credited]("credited", streams.Private()),
		streams.NewFact[Held]("held", streams.Private()), streams.NewFact[Freed]("freed", streams.Private()),
		streams.NewFact[Archived]("archived", streams.Private()), streams.NewFact[Noted]("noted", streams.Private()))
	if err != nil {
		return nil, err
	}
	payments := streams.Define("payment", PaymentID(""), payment.evolve,
		streams.OnCommand("pay", payment.pay, Asked{}),
		streams.On(payment.granted, Accepted{}).Asks(moveMoney), streams.On(payment.refused, Failed{}),
		streams.OnTimer("expire", payment.expired, GivenUp{}, Failed{}),
		streams.OnTimer("archive", payment.archive, Archived{}),
		streams.OnOutcome(moveMoney, payment.moved, Spent{}, Paid{}, GivenUp{}, Failed{}))
	accounts := streams.Define("account", Account(""), account.evolve,
		streams.On(account.deposited, Credited{}), streams.On(account.asked, Held{}, Granted{}, Refused{}),
		streams.On(account.givenUp, Freed{}), streams.On(account.spent, Freed{}))
	statements := streams.Define("statement", PaymentID(""), statement.evolve, streams.On(statement.paid, Noted{}), streams.On(statement.failed, Noted{}))
	return streams.NewTopology(v, []streams.Service{{Name: "payments", Deciders: []*streams.Decider{payments}}, {Name: "accounts", Deciders: []*streams.Decider{accounts, statements}}})
}
