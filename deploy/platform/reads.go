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

// Bounds of the read model's lag: how far behind is worth a word in readyz, and
// how old what is known may be.
const (
	readsLate    = 30 * time.Second
	readsUnknown = 10 * time.Second
)

// readsLag is how far the read model is behind, as this process sees it: from the
// ends of the log and the cursors in its store, whoever writes it.
type readsLag struct {
	watcher *streams.Watcher

	mu      sync.Mutex
	at      time.Time // of the last look that succeeded
	records int64
	age     time.Duration
	older   bool  // than age
	err     error // of the last look
}

// followReads looks how far the read model is behind until the platform stops.
func (p *platform) followReads(ctx context.Context) error {
	w, err := streams.NewReaderWatcher(p.runtime(), streams.ProjectionUnit, p.reads.Offsets)
	if err != nil {
		return err
	}
	p.lag.watcher, p.lag.err = w, fmt.Errorf("not looked yet")
	p.wait = append(p.wait, w.Close)
	p.background(ctx, "lag of the read model", func(ctx context.Context) error {
		tick := time.NewTicker(lookEvery)
		defer tick.Stop()
		for failing := false; ; {
			err := p.lookAtReads(ctx)
			if err != nil && !failing && ctx.Err() == nil {
				p.Log.Warn("how far the read model is behind is not known", "error", err)
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

// lookAtReads sets the gauges of the read model. They are gone while nothing is
// known: unknown is not the same as fine.
func (p *platform) lookAtReads(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*lookEvery)
	defer cancel()
	all, err := p.lag.watcher.Look(ctx)
	p.lag.mu.Lock()
	defer p.lag.mu.Unlock()
	if p.lag.err = err; err != nil {
		if time.Since(p.lag.at) > readsUnknown {
			of := prometheus.Labels{"service": streams.ProjectionUnit}
			p.behind.records.DeletePartialMatch(of)
			p.behind.seconds.DeletePartialMatch(of)
		}
		return err
	}
	p.lag.at, p.lag.records, p.lag.age, p.lag.older = time.Now(), 0, 0, false
	for _, b := range all {
		p.behind.records.WithLabelValues(b.Service, b.Topic).Set(float64(b.Records))
		p.lag.records += b.Records
		p.lag.age, p.lag.older = max(p.lag.age, b.Age), p.lag.older || b.Older
	}
	if p.lag.older {
		p.behind.seconds.DeleteLabelValues(streams.ProjectionUnit)
	} else {
		p.behind.seconds.WithLabelValues(streams.ProjectionUnit).Set(p.lag.age.Seconds())
	}
	return nil
}

// readsBehind is how far the read model is behind; an error if that is not known.
func (p *platform) readsBehind() (records int64, age time.Duration, err error) {
	if u := p.supervised.named(ProjectionUnit); u != nil && u.get().State == unitHalted {
		return 0, 0, errors.New("its writer is halted")
	}
	p.lag.mu.Lock()
	defer p.lag.mu.Unlock()
	if since := time.Since(p.lag.at); since > readsUnknown {
		if err = p.lag.err; err == nil {
			err = fmt.Errorf("not looked for %s", since.Round(time.Second))
		}
		return 0, 0, err
	}
	if p.lag.older {
		return 0, 0, fmt.Errorf("it lacks %d records, the oldest of which are on the log no more, and is built from the event stores", p.lag.records)
	}
	return p.lag.records, p.lag.age, nil
}

// degraded lists what does not keep commands from being taken, and still needs a
// look: halted units, and a read model that is late, or of which nothing is known.
func (p *platform) degraded() (why []string) {
	for _, u := range p.supervised.list() {
		if t := u.trouble(); t != "" && !p.isService(u.name) {
			why = append(why, t)
		}
	}
	why = append(why, p.ports.weak()...)
	if p.reads == nil {
		return why
	}
	records, age, err := p.readsBehind()
	switch {
	case err != nil:
		why = append(why, "how far the read model is behind is not known: "+err.Error())
	case age > readsLate:
		why = append(why, fmt.Sprintf("the read model is %s behind, %d records", age.Round(time.Second), records))
	}
	return why
}
