package platform

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/weirstream/weir/streams"
)

// Bounds of a reader's lag: how far behind is worth a word in readyz, and how old what is
// known may be.
const (
	lagLate    = 30 * time.Second
	lagUnknown = 10 * time.Second
)

// readerLag is how far a reader of the whole log is behind, as this process sees it: from
// the ends of the log and the cursors in its store, whoever writes it.
type readerLag struct {
	unit, what string
	watcher    *streams.Watcher // nil: nobody looks

	mu      sync.Mutex
	at      time.Time // of the last look that succeeded
	records int64
	age     time.Duration
	older   bool  // than age
	err     error // of the last look
}

// follow looks how far a reader is behind until the platform stops.
func (p *platform) follow(ctx context.Context, l *readerLag, cursors streams.Cursors) error {
	w, err := streams.NewReaderWatcher(p.runtime(), l.unit, cursors)
	if err != nil {
		return err
	}
	l.watcher, l.err = w, fmt.Errorf("not looked yet")
	p.wait = append(p.wait, w.Close)
	p.background(ctx, "lag of "+l.what, func(ctx context.Context) error {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for failing := false; ; {
			err := p.lookAt(ctx, l)
			if err != nil && !failing && ctx.Err() == nil {
				p.Log.Warn("how far "+l.what+" is behind is not known", "error", err)
			}
			failing = err != nil
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
		}
	})
	return nil
}

// lookAt sets the gauges of a reader. They are gone while nothing is known: unknown is not
// the same as fine.
func (p *platform) lookAt(ctx context.Context, l *readerLag) error {
	ctx, cancel := context.WithTimeout(ctx, 3*lookEvery)
	defer cancel()
	all, err := l.watcher.Look(ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err = err; err != nil {
		if time.Since(l.at) > lagUnknown {
			of := prometheus.Labels{"service": l.unit}
			p.behind.records.DeletePartialMatch(of)
			p.behind.seconds.DeletePartialMatch(of)
		}
		return err
	}
	l.at, l.records, l.age, l.older = time.Now(), 0, 0, false
	for _, b := range all {
		p.behind.records.WithLabelValues(b.Service, b.Topic).Set(float64(b.Records))
		l.records += b.Records
		l.age, l.older = max(l.age, b.Age), l.older || b.Older
	}
	if l.older {
		p.behind.seconds.DeleteLabelValues(l.unit)
	} else {
		p.behind.seconds.WithLabelValues(l.unit).Set(l.age.Seconds())
	}
	return nil
}

// behindOf is how far a reader is behind; an error if that is not known.
func (p *platform) behindOf(l *readerLag) (records int64, age time.Duration, err error) {
	if u := p.supervised.named(l.unit); u != nil && u.get().State == unitHalted {
		return 0, 0, errors.New("its writer is halted")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if since := time.Since(l.at); since > lagUnknown {
		if err = l.err; err == nil {
			err = fmt.Errorf("not looked for %s", since.Round(time.Second))
		}
		return 0, 0, err
	}
	if l.older {
		return 0, 0, fmt.Errorf("it lacks %d records, the oldest of which are on the log no more, and is built from the event stores", l.records)
	}
	return l.records, l.age, nil
}

// readsBehind is how far the read model is behind.
func (p *platform) readsBehind() (records int64, age time.Duration, err error) {
	return p.behindOf(&p.lag)
}

// degraded lists what does not keep commands from being taken, and still needs a
// look: halted units, and readers that are late, or of which nothing is known.
func (p *platform) degraded() (why []string) {
	for _, u := range p.supervised.list() {
		if t := u.trouble(); t != "" && !p.isService(u.name) {
			why = append(why, t)
		}
	}
	why = append(why, p.ports.weak()...)
	for _, l := range []*readerLag{&p.lag, &p.analytics.lag} {
		if l.watcher == nil {
			continue
		}
		records, age, err := p.behindOf(l)
		switch {
		case err != nil:
			why = append(why, fmt.Sprintf("how far %s is behind is not known: %v", l.what, err))
		case age > lagLate:
			why = append(why, fmt.Sprintf("%s is %s behind, %d records", l.what, age.Round(time.Second), records))
		}
	}
	return why
}
