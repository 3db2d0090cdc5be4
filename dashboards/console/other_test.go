package console_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/services/shop"
	"github.com/weirstream/weir/streams"
	"github.com/weirstream/weir/streams/business"
)

type (
	pupilID string
	tripID  string
	roomID  string
)

func (pupilID) Kind() string      { return "pupil" }
func (id pupilID) String() string { return string(id) }
func (tripID) Kind() string       { return "trip" }
func (id tripID) String() string  { return string(id) }
func (roomID) Kind() string       { return "room" }
func (id roomID) String() string  { return string(id) }

type fee struct {
	Minor    int64  `json:"minor"`
	Currency string `json:"currency"`
}

func (f fee) Amount() (int64, string) { return f.Minor, f.Currency }

type (
	asked struct {
		Pupil  pupilID `json:"pupil"`
		Class  string  `json:"class"`
		Parent string  `json:"parent" weir:"personal"`
		Fee    fee     `json:"fee"`
	}
	taken  struct{ Pupil pupilID }
	turned struct {
		Pupil pupilID
		Back  fee
	}
	planned struct{ Trip tripID }
	home    struct{ Trip tripID }
	rained  struct{ Trip tripID }
	built   struct {
		Room  roomID `json:"room"`
		Seats int    `json:"seats"`
	}
)

func (e asked) Key() streams.Key   { return e.Pupil }
func (e taken) Key() streams.Key   { return e.Pupil }
func (e turned) Key() streams.Key  { return e.Pupil }
func (e planned) Key() streams.Key { return e.Trip }
func (e home) Key() streams.Key    { return e.Trip }
func (e rained) Key() streams.Key  { return e.Trip }
func (e built) Key() streams.Key   { return e.Room }

type none struct{}

func quiet(s none, _ streams.Event) none { return s }

func nothing[E any](none, E, streams.Input) streams.Decision { return streams.Nothing() }

// school has two sagas, of which one is about something without a view, and a view that
// no saga is about.
func school() *business.Business {
	pupils := &business.View{Name: "pupils", One: "pupil", Key: pupilID(""), Path: "/v1/pupils", Title: "Pupil",
		About: "Who learns here.", History: true,
		Begins: []streams.Event{asked{}}, States: []string{"asked", "taken", "turned"},
		Fields: []business.Field{{Name: "state", Kind: business.State, Filter: true},
			{Name: "class", Kind: business.Text, Filter: true, Enum: []string{"a", "b"}},
			{Name: "parent", Kind: business.Text, Personal: true}},
		From: []business.Source{business.Takes[asked]("asked_at", "class", "parent", "fee"),
			business.Takes[taken]("taken_at"), business.Takes[turned]("turned_at")}}
	rooms := &business.View{Name: "rooms", One: "room", Key: roomID(""), Path: "/v1/rooms", Title: "Room", Sort: "seats",
		Begins: []streams.Event{built{}},
		From:   []business.Source{business.Takes[built]("built_at", "seats")}}
	office := streams.Define("office", pupilID(""), quiet, streams.OnCommand("ask", nothing[asked], asked{}))
	head := streams.Define("head", pupilID(""), quiet, streams.On(nothing[asked], taken{}, turned{}))
	bus := streams.Define("bus", tripID(""), quiet, streams.OnCommand("plan", nothing[planned], planned{}),
		streams.OnTimer("back", nothing[tripID], home{}, rained{}))
	yard := streams.Define("yard", roomID(""), quiet, streams.OnCommand("build", nothing[built], built{}))
	return &business.Business{Name: "school", Title: "A school", Owner: "head",
		Facts: []streams.Fact{
			streams.NewFact[asked]("pupil.asked"),
			streams.NewFact[taken]("pupil.taken", streams.Words("the pupil was taken in", "has to take the pupil in")),
			streams.NewFact[turned]("pupil.turned", streams.Words("the pupil was turned away", "has to turn the pupil away")),
			streams.NewFact[planned]("trip.planned"), streams.NewFact[home]("trip.home"),
			streams.NewFact[rained]("trip.rained"), streams.NewFact[built]("room.built")},
		Services: []business.Service{
			{Name: "office", Deciders: []*streams.Decider{office, head}, Views: []*business.View{pupils},
				Commands: []business.Command{{Name: "ask", Path: "/v1/pupils", Success: 201, Summary: "Ask for a place"}}},
			{Name: "yard", Deciders: []*streams.Decider{bus, yard}, Views: []*business.View{rooms}}},
		Sagas: []streams.Saga{
			{Name: "outing", Starts: planned{}, Ends: []streams.Event{home{}, rained{}}, Within: time.Hour,
				Once: []streams.Event{planned{}, home{}, rained{}}, Undo: []streams.Event{rained{}}},
			{Name: "admission", Starts: asked{}, Ends: []streams.Event{taken{}, turned{}}, Within: time.Minute,
				Once: []streams.Event{asked{}, taken{}, turned{}}, Undo: []streams.Event{turned{}},
				Answers: []streams.Event{taken{}, turned{}}, AnswerWithin: time.Second}}}
}

// fillSchool has two pupils, two trips and a room.
func fillSchool(h *house) {
	h.emit("c1", "", asked{"ann", "a", "mum Ng", fee{5000, "EUR"}}, taken{"ann"})
	h.emit("c2", "", asked{"bea", "b", "dad Ng", fee{7000, "EUR"}}, turned{"bea", fee{7000, "EUR"}})
	h.emit("c3", "", planned{"sea"})
	h.emit("c4", "", planned{"zoo"}, rained{"zoo"})
	h.emit("c5", "", built{"lab", 24})
}

func lacks(t *testing.T, what, body string, words ...string) {
	t.Helper()
	for _, w := range words {
		if strings.Contains(body, w) {
			t.Errorf("%s holds %q", what, w)
		}
	}
}

// Every business has its own words on every page.
func TestAnyBusinessIsShown(t *testing.T) {
	h := newHouseOf(t, school())
	h.get("/", 200, "Nothing has begun yet. Send <code>POST /v1/pupils</code>.")
	h.get("/?saga=outing", 200, "Nothing has begun yet.</p>") // nobody has a door for it
	h.get("/?saga=renewal", 404, "No saga is called so")
	h.at = h.at.Add(-20 * time.Minute)
	h.emit("c0", "", planned{"fair"}, rained{"fair"}) // long ago
	h.at = time.Now().Add(-3 * time.Minute)
	fillSchool(h)
	h.emit("c6", "", asked{"cid", "a", "mum Ng", fee{}})
	time.Sleep(2100 * time.Millisecond) // the answers of before are old

	// The first saga that promises an answer is shown, and others can be chosen.
	h.get("/", 200, `<a href="/?saga=admission" aria-current="true">admission</a>`, `<a href="/?saga=outing">outing</a>`,
		"Begun → answered", "7.0<small> ms P99", "33.3<small> %", "1 of 3 in 5 min", "1 taken", "1 turned", "1 waits over 1.0 s")
	h.get("/?saga=outing", 200, "Begun → ended", "50.0<small> %", "1 of 2 in 5 min", "1 running", "1 ended")

	h.get("/sagas", 200, "<th>about</th>", `<th class="n">fee</th>`, "€50.00", "Pupil, room, class, correlation or trace", "ann", "sea") // of those who pay one
	h.get("/sagas?saga=admission", 200, "<th>pupil</th>", `<th class="n">fee</th>`, `<th class="wide">class</th>`, "€50.00")
	outings := h.get("/sagas?saga=outing", 200, "<th>trip</th>", "<code>sea</code>", "taken back")
	lacks(t, "the list of outings", outings, "<code>ann", "fee")
	back := h.get("/sagas?state=taken-back", 200, "bea", "zoo")
	lacks(t, "the list of those taken back", back, "<code>ann", "<code>sea")
	lacks(t, "the list of one saga's", h.get("/sagas?state=taken-back&saga=outing", 200, "zoo"), "bea")
	stuck := h.get("/sagas?state=stuck", 200, "<code>sea", "<code>cid", "head has to take the pupil in")
	lacks(t, "the list of stuck ones", stuck, "<code>ann")
	lacks(t, "the list of stuck outings", h.get("/sagas?state=stuck&saga=outing", 200, "<code>sea"), "<code>cid")
	h.get("/sagas?saga=renewal", 400, "No saga or state is called so")

	h.get("/pupils/ann", 200, "The pupil was taken in after 7.0 ms.", "class a", "fee €50.00", "Nothing is left.")
	h.get("/sagas/c2", 200, "The pupil was turned away after 7.0 ms.", "bea")
	h.get("/sagas/c3", 200, "Trip planned.", "sea", "running")
	h.get("/sagas/c4", 200, "Taken back: trip rained after 7.0 ms.", "taken back")
}

// The page of a view lists its documents by their fields, and none that is personal.
func TestViewsAreShown(t *testing.T) {
	h := newHouseOf(t, school())
	h.get("/rooms", 200, "There is no room yet.</p>")
	fillSchool(h)
	for i := range 60 {
		h.emit(fmt.Sprint("r", i), "", built{roomID(fmt.Sprint("hall-", i)), 100 + i})
	}
	h.get("/views", 200, `<a href="/pupils">pupils</a>`, `<a href="/pupils?state=taken">taken 1</a>`, "61", "Who learns here.")
	pupils := h.get("/pupils", 200, "Who learns here.", "<th>class</th>", "€50.00", `href="/pupils/ann"`, "bea", `<option>b</option>`)
	lacks(t, "the list", pupils, "Ng", "parent")
	lacks(t, "the list of one class", h.get("/pupils?class=b", 200, "bea", `<option selected>b</option>`), ">ann<")
	lacks(t, "the list of one state", h.get("/pupils?state=taken&class=a", 200, "ann"), ">bea<")
	h.get("/pupils?state=taken&class=b", 200, "None is like this.")
	h.get("/pupils?state=expelled", 400, "No state is called so")
	h.get("/pupils?class=z", 400, "No class is called so")
	h.get("/pupils?page=x", 400, "damaged")
	h.get("/pupils?parent=mum+Ng", 200, "ann", "bea") // nothing can be chosen by what is personal

	first := h.get("/rooms", 200, "hall-59", "hall-10", "more →")
	lacks(t, "the first page", first, ">lab<", ">hall-9<")
	next := regexp.MustCompile(`href="(/rooms\?page=[^"]+)"`).FindStringSubmatch(first)
	lacks(t, "the second page", h.get(next[1], 200, ">hall-9<", ">lab<", "← first"), "hall-59", "more →")

	room := h.get("/rooms/lab", 200, "<dt>seats</dt><dd>24</dd>", "This view keeps no history.", `href="/sagas/c5"`)
	lacks(t, "a room", room, "is left", "All events")
	h.get("/rooms/attic", 404, "No room of this name has begun.")
	for q, want := range map[string]string{"ann": "/pupils/ann", "lab": "/rooms/lab", "b": "/pupils?class=b", "c3": "/sagas/c3"} {
		h.get("/sagas?q="+q, 303, want)
	}
}

// A document with a history that no saga is about tells it, without what is personal.
func TestADocumentWithoutASagaIsShown(t *testing.T) {
	b := school()
	b.Sagas = b.Sagas[:1]
	h := newHouseOf(t, b)
	fillSchool(h)
	ann := h.get("/pupils/ann", 200, "<dt>class</dt><dd>a</dd>", "pupil.asked", "pupil.taken", "<dt>parent</dt><dd>•••</dd>")
	lacks(t, "a pupil", ann, "Ng", "Nothing is left", "keeps no history")
}

// A long text is cut among others, and whole on its own page; a name that is none is not
// asked for as it came.
func TestLongAndOddTextsAreShown(t *testing.T) {
	b := school()
	b.Sagas = nil
	b.Services[0].Views[0].Fields[1].Enum = nil
	h := newHouseOf(t, b)
	class := strings.Repeat("x", 300) + " of ada@example.org"
	h.emit("c1", "", asked{"ann", class, "mum", fee{}})
	h.get("/pupils", 200, strings.Repeat("x", 119)+"…<")
	lacks(t, "a pupil", h.get("/pupils/ann", 200, strings.Repeat("x", 300)+" of •••@•••"), "ada@")
	h.get("/pupils?class=%ff%00", 200, "None is like this")
	h.get("/sagas?q=%ff%00", 200, "Nothing is called")
}

// What a business does not declare is not missed on its page.
func TestABusinessOfLittleIsShown(t *testing.T) {
	b := school()
	b.Sagas = nil
	for i := range b.Services {
		b.Services[i].Views, b.Services[i].Commands = nil, nil
	}
	h := newHouseOf(t, b)
	h.emit("c1", "", asked{"ann", "a", "mum Ng", fee{}})
	page := h.get("/", 200, "This business declares no saga", "office", "Lag")
	lacks(t, "the overview", page, "Begun", "Taken back", "/views", "Send <code>")
	lacks(t, "the sagas", h.get("/sagas", 200, "This business declares no saga", "Correlation or trace"), "Stuck")
	h.get("/sagas?state=stuck", 200)
	h.get("/sagas?state=taken-back", 200)
	h.get("/sagas?q=nobody", 200, "Nothing is called")
	h.get("/views", 200, "This business declares no view")
	h.get("/sagas/c1", 200, "pupil.asked")
}

// An earlier saga about the same thing may have been taken back; a later one was not.
func TestAnEarlierSagaDoesNotTurnALaterOne(t *testing.T) {
	h := newHouseOf(t, school())
	h.emit("c1", "", asked{"ann", "a", "mum", fee{}}, turned{"ann", fee{}})
	h.emit("c2", "", asked{"ann", "a", "mum", fee{}}, taken{"ann"})
	body := h.get("/sagas?state=taken-back", 200, `href="/sagas/c1"`)
	lacks(t, "the list of those taken back", body, `href="/sagas/c2"`)
}

// What was taken back is found behind pages of what was not, as far as it is looked for.
func TestWhatIsTakenBackIsFound(t *testing.T) {
	h := newHouseOf(t, school())
	h.at = h.at.Add(-time.Minute)
	h.emit("c0", "", planned{"zoo"}, rained{"zoo"})
	const before, all = 10, 10*projection.PageSize - 1
	for i := range all {
		h.publish(fmt.Sprint("p", i), "", planned{tripID(fmt.Sprint("trip-", i))})
	}
	for i := range before { // the last ones, of each partition
		h.await(fmt.Sprint("p", all-1-i), h.n-i)
	}
	lacks(t, "the list", h.get("/sagas?state=taken-back", 200, "<code>zoo"), "data-live")
	h.emit("one-more", "", planned{"sea"})
	body := h.get("/sagas?state=taken-back", 200, "None of those that were looked at", "older →")
	next := regexp.MustCompile(`href="(/sagas\?page=[^"]+)"`).FindStringSubmatch(body)
	h.get(strings.ReplaceAll(next[1], "&amp;", "&"), 200, "<code>zoo", "← newest")
}

// What was taken back tells its money, how often, and when; and so does what is left.
func TestWhatIsTakenBackIsTold(t *testing.T) {
	h := newHouse(t)
	one := func(sku event.SKU) []streams.Event {
		return []streams.Event{event.HoldRequested{SKU: sku, Order: "o-1", Quantity: 1}}
	}
	h.emit("c1", "", append([]streams.Event{placed("o-1", "ada")}, append(one("A"), one("B")...)...)...)
	h.get("/orders/o-1", 200, "has to hold the stock (0 of 2)")
	h.emit("c1", "", event.StockReserved{Order: "o-1"}, event.PaymentAuthorised{Order: "o-1", Amount: gbp},
		event.OrderConfirmed{Order: "o-1", Total: gbp}, event.PaymentCaptured{Order: "o-1", Amount: gbp},
		event.OrderCancelled{Order: "o-1", Reason: "changed her mind"},
		event.StockFreed{SKU: "A", Order: "o-1"}, event.StockFreed{SKU: "B", Order: "o-1"},
		event.PaymentRefunded{Order: "o-1", Amount: gbp})
	h.get("/orders/o-1", 200, "The order was confirmed after 35 ms, and the money was captured after 42 ms.",
		"Taken back: the order was cancelled after 49 ms, stock was freed after 56 ms (2 times), the money was refunded after 70 ms (£48.20).",
		"compensating", "reason changed her mind")
}

// No word of one business stands in the templates of any.
func TestThePageKnowsNoBusiness(t *testing.T) {
	words := []string{"sku", "parcel", "carrier", "the order was", "order placed", "v1/orders", "place-order", "cancelled", "shipped", "confirmed"}
	for _, f := range shop.Business.Facts {
		words = append(words, f.Name)
	}
	files := 0
	for _, pattern := range []string{"page/*", "asset/*"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range found {
			files++
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for n, line := range strings.Split(strings.ToLower(string(b)), "\n") {
				for _, w := range words {
					if regexp.MustCompile(`\b` + regexp.QuoteMeta(w)).MatchString(line) {
						t.Errorf("%s:%d holds %q", name, n+1, w)
					}
				}
			}
		}
	}
	if files < 15 {
		t.Errorf("only %d files were looked at", files)
	}
}
