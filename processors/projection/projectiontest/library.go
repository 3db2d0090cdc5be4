package projectiontest

import (
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

// The suite reads the log of a library: members ask for loans at its desk, and pay
// deposits at its till.

// LoanID, TitleID and MemberID name what a library's events are about.
type (
	LoanID   string
	TitleID  string
	MemberID string
)

// Kind is "loan".
func (LoanID) Kind() string { return "loan" }

func (id LoanID) String() string { return string(id) }

// Kind is "title".
func (TitleID) Kind() string { return "title" }

func (id TitleID) String() string { return string(id) }

// Kind is "member".
func (MemberID) Kind() string { return "member" }

func (id MemberID) String() string { return string(id) }

// Coins are money.
type Coins struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

// Amount is the money's parts.
func (c Coins) Amount() (minor int64, currency string) { return c.Minor, c.Currency }

// Home is where a member lives.
type Home struct {
	Name   string `json:"name"`
	Street string `json:"street"`
}

// What happens to loans, to titles and to deposits.
type (
	Asked struct {
		Loan    LoanID    `json:"loan"`
		Member  MemberID  `json:"member"`
		Email   string    `json:"email" weir:"personal"`
		Home    Home      `json:"home" weir:"personal"`
		Titles  []TitleID `json:"titles"`
		Deposit Coins     `json:"deposit"`
	}
	Approved struct {
		Loan LoanID `json:"loan"`
	}
	Ready struct {
		Loan LoanID `json:"loan"`
	}
	Fetched struct {
		Loan LoanID `json:"loan"`
		Desk string `json:"desk"`
		Slip string `json:"slip"`
	}
	Delayed struct {
		Loan LoanID `json:"loan"`
	}
	Withdrawn struct {
		Loan   LoanID `json:"loan"`
		Reason string `json:"reason"`
	}
	Closed struct {
		Loan    LoanID `json:"loan"`
		Outcome string `json:"outcome"`
	}
	CopyWanted struct {
		Title  TitleID `json:"title"`
		Loan   LoanID  `json:"loan"`
		Copies int64   `json:"copies"`
	}
	CopyDonated struct {
		Title  TitleID `json:"title"`
		Copies int64   `json:"copies"`
		Loan   LoanID  `json:"loan"` // in the place of what was never given back, says who gives
	}
	DepositPaid struct {
		Loan   LoanID   `json:"loan"`
		Member MemberID `json:"member"`
		Minor  int64    `json:"minor"`
	}
)

// Key is the loan.
func (e Asked) Key() streams.Key { return e.Loan }

// Key is the loan.
func (e Approved) Key() streams.Key { return e.Loan }

// Key is the loan.
func (e Ready) Key() streams.Key { return e.Loan }

// Key is the loan.
func (e Fetched) Key() streams.Key { return e.Loan }

// Key is the loan.
func (e Delayed) Key() streams.Key { return e.Loan }

// Key is the loan.
func (e Withdrawn) Key() streams.Key { return e.Loan }

// Key is the loan.
func (e Closed) Key() streams.Key { return e.Loan }

// Key is the title.
func (e CopyWanted) Key() streams.Key { return e.Title }

// Key is the title.
func (e CopyDonated) Key() streams.Key { return e.Title }

// Key is the loan.
func (e DepositPaid) Key() streams.Key { return e.Loan }

// Loans are the view of a key's own events, with states.
var Loans = &business.View{Name: "loans", One: "loan", Key: LoanID(""), Path: "/v1/loans", Title: "Loan", History: true,
	Begins: []streams.Event{Asked{}}, States: []string{"asked", "approved", "ready", "fetched", "withdrawn"},
	Fields: []business.Field{
		{Name: "member", Kind: business.Text, Filter: true},
		{Name: "state", Kind: business.State, Filter: true},
		{Name: "closed", Kind: business.Flag, Of: "closed_at"},
		{Name: "email", Kind: business.Text, Personal: true},
	},
	From: []business.Source{
		business.On(func(e Asked, m business.Moment) business.Set {
			if e.Member == "!" {
				panic("nobody is called so")
			}
			return business.Set{"asked_at": m.At, "member": string(e.Member), "email": e.Email,
				"titles": len(e.Titles), "deposit": e.Deposit, "correlation": m.Correlation}
		}),
		business.Takes[Approved]("approved_at"),
		business.Takes[Ready]("ready_at"),
		business.Takes[Fetched]("fetched_at", "desk", "slip"),
		business.Takes[Delayed]("delayed_at"),
		business.Takes[Withdrawn]("withdrawn_at", "reason"),
		business.Takes[Closed]("closed_at", "outcome"),
	}}

// Titles are a view that begins with either of two events, and counts. What is wanted
// most comes first.
var Titles = &business.View{Name: "titles", One: "title", Key: TitleID(""), Path: "/v1/titles", Title: "Title",
	History: true, Sort: "wanted",
	Begins: []streams.Event{CopyWanted{}, CopyDonated{}},
	From: []business.Source{
		business.On(func(e CopyWanted, m business.Moment) business.Set {
			return business.Set{"wanted": business.Plus(e.Copies), "wanted_at": m.At}
		}),
		business.On(func(e CopyDonated, _ business.Moment) business.Set {
			return business.Set{"copies": business.Plus(e.Copies)}
		}),
	}}

// Members are a view of what the events of other keys say.
var Members = &business.View{Name: "members", One: "member", Key: MemberID(""), Path: "/v1/members", Title: "Member",
	Sort:   "asked_at",
	Begins: []streams.Event{Asked{}},
	Fields: []business.Field{
		{Name: "loans", Kind: business.Count},
		{Name: "titles_each", Kind: business.Mean, Of: "titles", Per: "loans"},
		{Name: "paid", Kind: business.Count, Personal: true},
	},
	From: []business.Source{
		business.OnOther(func(e Asked, m business.Moment) (MemberID, business.Set) {
			return e.Member, business.Set{"loans": business.Plus(1), "titles": business.Plus(len(e.Titles)),
				"asked_at": m.At}
		}),
		business.OnOther(func(e DepositPaid, m business.Moment) (MemberID, business.Set) {
			return e.Member, business.Set{"paid": business.Plus(e.Minor), "paid_at": m.At}
		}),
	}}

// Views are those of the library.
var Views = []*business.View{Loans, Titles, Members}

var lending = streams.Saga{Name: "lend", Starts: Asked{}, Ends: []streams.Event{Closed{}}, Within: time.Hour}

// Deposit is a saga with the start of the other one, which ends by what another
// service says, on another topic.
var Deposit = streams.Saga{Name: "deposit", Starts: Asked{}, Ends: []streams.Event{DepositPaid{}}, Within: time.Minute}

// library is the business.
func library() *business.Business {
	type none struct{}
	keep := func(s none, _ streams.Event) none { return s }
	desk := streams.Define("desk", LoanID(""), keep,
		streams.OnCommand("ask-loan", func(none, Asked, streams.Input) streams.Decision { return streams.Nothing() },
			Asked{}, Approved{}, Ready{}, Fetched{}, Withdrawn{}, Delayed{}, Closed{}, CopyWanted{}))
	till := streams.Define("till", LoanID(""), keep,
		streams.On(func(none, Asked, streams.Input) streams.Decision { return streams.Nothing() }, DepositPaid{}))
	return &business.Business{Name: "library", Title: "Library", Owner: "desk",
		Facts: []streams.Fact{streams.NewFact[Asked]("loan.asked"), streams.NewFact[Approved]("loan.approved"),
			streams.NewFact[Ready]("loan.ready"),
			streams.NewFact[Fetched]("loan.fetched"), streams.NewFact[Delayed]("loan.delayed"),
			streams.NewFact[Withdrawn]("loan.withdrawn"),
			streams.NewFact[Closed]("loan.closed"), streams.NewFact[CopyWanted]("copy.wanted"),
			streams.NewFact[CopyDonated]("copy.donated", streams.External()),
			streams.NewFact[DepositPaid]("deposit.paid")},
		Services: []business.Service{{Name: "desk", Deciders: []*streams.Decider{desk}, Views: Views}, {Name: "till",
			Deciders: []*streams.Decider{till}}},
		Sagas: []streams.Saga{lending}}
}
