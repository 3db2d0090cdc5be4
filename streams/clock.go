package streams

import (
	"log/slog"
	"sync"
	"time"
)

// A machine's clock may be a day ahead for a minute. A lane's clock never goes
// back, so that it would stay there: deadlines would act a day late, and what
// tells repeats would be forgotten a day early. So a clock is believed only as
// far as something else agrees with it: its store's clock, or, where that jumps
// as well or says nothing, what it said before.

const (
	clockSlack = time.Minute      // two clocks that differ by no more agree
	clockTrial = 10 * time.Minute // how long a clock that has jumped is not believed
)

// keptTime is a clock's reading, carried on without the clock.
type keptTime struct {
	reading time.Time
	at      time.Time // by the monotonic clock
}

func keep(t time.Time) keptTime             { return keptTime{t, time.Now()} }
func (k keptTime) now() time.Time           { return k.reading.Add(time.Since(k.at)) }
func (k keptTime) set() bool                { return !k.at.IsZero() }
func agree(a, b time.Time) bool             { return a.Sub(b).Abs() <= clockSlack }
func (k keptTime) old(d time.Duration) bool { return time.Since(k.at) >= d }

// clock is an instance's clock.
type clock struct {
	machine func() time.Time
	log     *slog.Logger

	mu     sync.Mutex
	kept   keptTime // what was believed last
	store  keptTime // the store's
	jumped keptTime // when the store's has jumped
	doubt  keptTime // since when the machine's is not believed
}

func newClock(machine func() time.Time, log *slog.Logger) *clock {
	return &clock{machine: machine, log: log, kept: keep(machine())}
}

// heard takes a reading of the store's clock.
func (c *clock) heard(t time.Time) {
	if t.IsZero() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.store.set() && !agree(t, c.store.now()) {
		c.jumped = keep(t)
	}
	c.store = keep(t)
}

// Now is the machine's time, or what is believed instead.
func (c *clock) Now() time.Time {
	m := c.machine()
	c.mu.Lock()
	defer c.mu.Unlock()
	witness := c.kept
	backed := c.store.set() && (!c.jumped.set() || c.jumped.old(clockTrial))
	if backed {
		witness = c.store
	}
	w := witness.now()
	if agree(m, w) {
		if c.doubt.set() {
			c.log.Info("the machine's clock is believed again", "clock", m)
		}
		c.kept, c.doubt = keep(m), keptTime{}
		return m
	}
	if !c.doubt.set() {
		c.doubt = keep(m)
		c.log.Error("the machine's clock is not believed: it differs from its store's, or has jumped. Set it right", "clock", m, "believed", w, "store agrees with the latter", backed)
	} else if !backed && c.doubt.old(clockTrial) { // nobody knows better, and it stays so
		c.log.Warn("the machine's clock is believed, as it stays where it jumped to", "clock", m)
		c.kept, c.doubt = keep(m), keptTime{}
		return m
	}
	c.kept = keep(w)
	return w
}

// now is the lane's time. It never goes back, and does not stand still either
// where the lane is ahead of its clock, as another instance's may have been: it
// goes on at half speed, until the clock has come up to it. A lane that stood
// still would keep its deadlines waiting for as long as it is ahead.
func (l *lane) now() time.Time {
	now := l.cfg.Now()
	if least := l.cur.Clock.Add(time.Since(l.clockSet) / 2); now.Before(least) {
		return least
	}
	return now
}

// setClock moves the lane's clock to a time of now's.
func (l *lane) setClock(t time.Time) { l.cur.Clock, l.clockSet = t, time.Now() }
