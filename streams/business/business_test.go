package business_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type (
	ticketID string
	seatID   string
)

func (ticketID) Kind() string      { return "ticket" }
func (id ticketID) String() string { return string(id) }
func (seatID) Kind() string        { return "seat" }
func (id seatID) String() string   { return string(id) }

type money struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

func (m money) Amount() (int64, string) { return m.Minor, m.Currency }

type (
	buy struct {
		Ticket ticketID `json:"ticket"`
		Seat   seatID   `json:"seat" weir:"required,max=8"`
	}
	bought struct {
		Ticket ticketID `json:"ticket"`
		Seat   seatID   `json:"seat"`
		Price  money    `json:"price"`
		Extras []string `json:"extras"`
	}
	checked struct {
		Ticket ticketID `json:"ticket"`
	}
	noted struct {
		Ticket ticketID `json:"ticket"`
	}
	printed struct {
		Ticket ticketID `json:"ticket"`
	}
	posted struct {
		Ticket ticketID `json:"ticket"`
	}
)

func (e buy) Key() streams.Key     { return e.Ticket }
func (e bought) Key() streams.Key  { return e.Ticket }
func (e checked) Key() streams.Key { return e.Ticket }
func (e noted) Key() streams.Key   { return e.Ticket }
func (e printed) Key() streams.Key { return e.Ticket }
func (e posted) Key() streams.Key  { return e.Ticket }

type none struct{}

func quiet(s none, _ streams.Event) none { return s }

func nothing[E any](none, E, streams.Input) streams.Decision { return streams.Nothing() }

// theatre is a business in which everything is declared as it should be. Each call makes
// it anew: tests spoil it.
func theatre() *business.Business {
	ring := streams.HTTPCall("print", "printer", time.Second, func(c checked) string { return string(c.Ticket) + "/print" },
		func(checked) streams.HTTPRequest { return streams.HTTPRequest{} }, func(checked, streams.HTTPResponse) (bool, error) { return true, nil })
	desk := streams.Define("desk", ticketID(""), quiet, streams.OnCommand("buy", nothing[buy], bought{}, noted{}), streams.On(nothing[printed], checked{}))
	door := streams.Define("door", ticketID(""), quiet, streams.On(nothing[bought]).Asks(ring), streams.OnOutcome(ring, nothing[bool], printed{}), streams.On(nothing[posted]))
	return &business.Business{Name: "theatre", Title: "A theatre", Owner: "box-office",
		Facts: []streams.Fact{streams.NewFact[bought]("ticket.bought"), streams.NewFact[checked]("ticket.checked"), streams.NewFact[printed]("ticket.printed"), streams.NewFact[posted]("ticket.posted", streams.External())},
		Services: []business.Service{
			{Name: "desk", Deciders: []*streams.Decider{desk}, Facts: []streams.Fact{streams.NewFact[noted]("ticket.noted", streams.Private())},
				Commands: []business.Command{{Name: "buy", Path: "/v1/tickets", Success: 201, Summary: "Buy a ticket", Example: buy{"t-1", "A1"}}},
				Views: []*business.View{
					{Name: "tickets", One: "ticket", Key: ticketID(""), Path: "/v1/tickets", Title: "Ticket", Begins: []streams.Event{bought{}}, States: []string{"bought", "checked"},
						Fields: []business.Field{{Name: "state", Kind: business.State, Filter: true}, {Name: "done", Kind: business.Flag, Of: "checked_at"}},
						From:   []business.Source{business.Takes[bought]("bought_at", "seat", "price", "extras"), business.Takes[checked]("checked_at")}},
					{Name: "seats", One: "seat", Key: seatID(""), Path: "/v1/seats", Title: "Seat", Begins: []streams.Event{bought{}}, Sort: "sold",
						Fields: []business.Field{{Name: "sold", Kind: business.Count}, {Name: "each", Kind: business.Mean, Of: "sold", Per: "sold"}},
						From: []business.Source{business.OnOther(func(e bought, m business.Moment) (seatID, business.Set) {
							return e.Seat, business.Set{"sold": business.Plus(1), "last_at": m.At}
						})}}},
				Objectives: []business.Objective{{Name: "printing", Alert: "PrintingBurn", About: "Tickets that are printed.", Percent: 99, Good: []streams.Event{printed{}}, Bad: []streams.Event{checked{}}}}},
			{Name: "door", Owner: "ushers", Deciders: []*streams.Decider{door},
				Endpoints: []business.Endpoint{{Name: "printer", What: "printer", Protocol: business.HTTP, Simulate: func() business.Counterpart { return nil },
					Faults: []business.Fault{{Name: "printer-down", Trouble: business.Trouble{Down: true}}}}}}},
		Sagas: []streams.Saga{{Name: "visit", Starts: bought{}, Ends: []streams.Event{checked{}}, Within: time.Minute, Answers: []streams.Event{printed{}}}},
		Money: []business.Money{{Name: "taken", Title: "Money taken", Into: []business.MoneyFrom{business.From(func(e bought) business.Sum { return e.Price })}}},
		Customer: &business.Customer{Begins: "visit", Visit: func(string, business.Chance) []business.Act { return nil }, BadDay: func(string, business.Chance) []business.Act { return nil },
			Probe:    func(name string) business.Act { return business.Act{Command: "buy", Body: buy{ticketID(name), "A1"}} },
			Delivery: func(name string) streams.Event { return posted{ticketID(name)} }}}
}

func TestABusinessHolds(t *testing.T) {
	b := theatre()
	if _, err := b.Topology(); err != nil {
		t.Fatal(err)
	}
	if b.OwnerOf("door") != "ushers" || b.OwnerOf("desk") != "box-office" {
		t.Errorf("owners are %s and %s", b.OwnerOf("door"), b.OwnerOf("desk"))
	}
	v, _ := b.View("tickets")
	var names []string
	for _, f := range v.All() {
		names = append(names, f.Name+":"+string(f.Kind))
	}
	if got, want := strings.Join(names, " "), "state:state done:flag extras:count price:amount seat:text bought_at:time checked_at:time"; got != want {
		t.Errorf("the fields are %s, want %s", got, want)
	}
	if of, ok := b.ViewOf("seat"); !ok || of.Name != "seats" {
		t.Errorf("seats are shown by %v", of)
	}
}

// Whatever cannot be right is refused before anything runs, with its culprit's name.
func TestWhatDoesNotHoldIsRefused(t *testing.T) {
	for want, spoil := range map[string]func(b *business.Business){
		"the business is called": func(b *business.Business) { b.Name = "The Theatre" },
		"none of its deciders":   func(b *business.Business) { b.Services[0].Commands[0].Name = "sell" },
		"not of the form /v1":    func(b *business.Business) { b.Services[0].Commands[0].Path = "/tickets" },
		"no text called so":      func(b *business.Business) { b.Services[0].Commands[0].Path = "/v1/tickets/{who}" },
		"is the door of buy": func(b *business.Business) {
			b.Services[0].Commands = append(b.Services[0].Commands, b.Services[0].Commands[0])
		},
		"needs a summary":           func(b *business.Business) { b.Services[0].Commands[0].Summary = "" },
		"is no success":             func(b *business.Business) { b.Services[0].Commands[0].Success = 404 },
		"is no method":              func(b *business.Business) { b.Services[0].Commands[0].Method = "GET" },
		"its example is a":          func(b *business.Business) { b.Services[0].Commands[0].Example = bought{} },
		"and no other view's":       func(b *business.Business) { b.Services[0].Views[1].Name = "tickets" },
		"or another view's":         func(b *business.Business) { b.Services[0].Views[1].Path = "/v1/tickets" },
		"it needs a key, a title":   func(b *business.Business) { b.Services[0].Views[0].Title = "" },
		"says whether":              func(b *business.Business) { b.Services[0].Views[0].Fields[1].Of = "seat" },
		"no two counts":             func(b *business.Business) { b.Services[0].Views[1].Fields[1].Per = "last_at" },
		"it has no States":          func(b *business.Business) { b.Services[0].Views[0].States = nil },
		"cannot be filtered by":     func(b *business.Business) { b.Services[0].Views[1].Fields[0].Filter = true },
		"no time and no count":      func(b *business.Business) { b.Services[0].Views[0].Sort = "seat" },
		"of the kind \"colour\"":    func(b *business.Business) { b.Services[0].Views[0].Fields[0].Kind = "colour" },
		"is private to its service": from(business.Takes[noted]("noted_at")),
		"which is no registered event": func(b *business.Business) {
			b.Services[0].Views[0].From = append(b.Services[0].Views[0].From, business.Takes[buy]("x_at"))
		},
		"is there twice":          from(business.Takes[checked]("again_at")),
		"both set \"seat\"":       from(business.On(func(printed, business.Moment) business.Set { return business.Set{"seat": "B2"} })),
		"both set \"extras\"":     from(business.On(func(printed, business.Moment) business.Set { return business.Set{"extras": business.Plus(1)} })),
		"has no field \"colour\"": from(business.Takes[printed]("printed_at", "colour")),
		"or of another kind":      from(business.On(func(printed, business.Moment) business.Set { return business.Set{"state": "x"} })),
		"speaks of a":             from(business.OnOther(func(e printed, m business.Moment) (seatID, business.Set) { return "", business.Set{} })),
		"can count and tell the latest": from(business.OnOther(func(e printed, m business.Moment) (ticketID, business.Set) {
			return e.Ticket, business.Set{"seat": "x"}
		})),
		"which it is not made of": func(b *business.Business) { b.Services[0].Views[0].Begins = []streams.Event{printed{}} },
		"which nobody declares":   func(b *business.Business) { b.Services[1].Endpoints = nil },
		"called by no effect":     func(b *business.Business) { b.Services[1].Endpoints[0].Name = "scanner" },
		"is declared twice": func(b *business.Business) {
			b.Services[1].Endpoints = append(b.Services[1].Endpoints, b.Services[1].Endpoints[0])
		},
		"how it is simulated":              func(b *business.Business) { b.Services[1].Endpoints[0].Simulate = nil },
		"fault \"Printer\"":                func(b *business.Business) { b.Services[1].Endpoints[0].Faults[0].Name = "Printer" },
		"objective desk-printing":          func(b *business.Business) { b.Services[0].Objectives[0].Percent = 100 },
		"objective desk-printing names":    func(b *business.Business) { b.Services[0].Objectives[0].Bad = []streams.Event{buy{}} },
		"money \"Taken\"":                  func(b *business.Business) { b.Money[0].Name = "Taken" },
		"money taken names":                func(b *business.Business) { b.Money[0].Out = []streams.Event{buy{}} },
		"a saga that has answers":          func(b *business.Business) { b.Customer.Begins = "concert" },
		"which no service has a door for":  func(b *business.Business) { b.Services[0].Commands = nil },
		"no external event":                func(b *business.Business) { b.Customer.Delivery = func(string) streams.Event { return printed{} } },
		"saga visit is there twice":        func(b *business.Business) { b.Sagas = append(b.Sagas, b.Sagas[0]) },
		"saga visit needs a start, an end": func(b *business.Business) { b.Sagas[0].Within = 0 },
		"promises an answer":               func(b *business.Business) { b.Sagas[0].Answers, b.Sagas[0].AnswerWithin = nil, time.Second },
	} {
		b := theatre()
		spoil(b)
		if _, err := b.Topology(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got: %v", want, err)
		}
	}
}

// from adds a source to the view of tickets.
func from(s business.Source) func(*business.Business) {
	return func(b *business.Business) { b.Services[0].Views[0].From = append(b.Services[0].Views[0].From, s) }
}

func TestARequestIsMadeOfABody(t *testing.T) {
	c := business.Command{Name: "move", Path: "/v1/tickets/{ticket}/move"}
	path, body, err := c.Request(buy{"t/1", "B2"})
	var members map[string]any
	if err != nil || json.Unmarshal(body, &members) != nil || path != "/v1/tickets/t%2F1/move" || len(members) != 1 || members["seat"] != "B2" {
		t.Errorf("%s %s, %v", path, body, err)
	}
	if _, _, err := (&business.Command{Path: "/v1/{nobody}"}).Request(buy{}); err == nil {
		t.Error("a path with a field that is not there was made")
	}
}
