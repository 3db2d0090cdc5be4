package platform

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// startTrim deletes records that every reader is done with, beyond a window:
// the event stores are the history, and the embedded log lives in memory.
func (p *platform) startTrim(ctx context.Context) error {
	if p.broker == nil {
		return nil
	}
	cl, err := kgo.NewClient(p.kafka...)
	if err != nil {
		return err
	}
	p.wait = append(p.wait, cl.Close)
	p.background(ctx, "trimming the log", func(ctx context.Context) error {
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for failing := false; ; {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
			err := p.trim(ctx, kadm.NewClient(cl))
			if err != nil && !failing && ctx.Err() == nil {
				p.Log.Warn("log not trimmed, will be tried again", "error", err)
			}
			failing = err != nil
		}
	})
	return nil
}

// maxKept bounds the records per partition that a halted read model keeps on the
// embedded log, which lives in memory: of what is beyond, it is built from the
// event stores.
const maxKept = 500_000

// trim deletes up to the lowest stored cursor of each partition, less the window.
func (p *platform) trim(ctx context.Context, adm *kadm.Client) error {
	if why := p.notReady(); len(why) > 0 {
		if !p.untrimmed {
			p.Log.Warn("the log is not trimmed, and grows in memory, while a lane is not at work", "because", why[0])
		}
		p.untrimmed = true
		return nil // a lane that is not at work does not tell how far it has read
	}
	p.untrimmed = false
	low := kadm.Offsets{}
	take := func(topic string, part int32, at int64) {
		if o, ok := low.Lookup(topic, part); !ok || at < o.At {
			low.Delete(topic, part) // Add keeps the higher of two
			low.Add(kadm.Offset{Topic: topic, Partition: part, At: at})
		}
	}
	for _, i := range p.instances {
		for _, l := range i.Lanes() {
			for t, at := range l.Offsets {
				take(t, l.Lane, at)
			}
		}
	}
	if err := p.positions(ctx, adm, take); err != nil {
		return err
	}
	if p.analytics.store != nil { // what it lacks after that, it has from the event stores too
		at, err := p.analytics.store.Offsets(ctx)
		if err == nil && p.supervised.named(AnalyticsUnit).get().State != unitHalted {
			for t, ps := range at {
				for part, next := range ps {
					take(t, part, next)
				}
			}
		}
	}
	read, err := p.readTo(ctx, adm)
	if err != nil {
		return err
	}
	del := kadm.Offsets{}
	for t, ps := range read { // it reads every topic: what it does not know, nobody has read
		for part, at := range ps {
			take(t, part, at)
			if o, _ := low.Lookup(t, part); o.At > int64(p.Keep) {
				del.Add(kadm.Offset{Topic: t, Partition: part, At: o.At - int64(p.Keep)})
			}
		}
	}
	if len(del) == 0 {
		return nil
	}
	_, err = adm.DeleteRecords(ctx, del)
	return err
}

// readTo is how far the read model has read, or, once it is halted and too much
// is kept for it, as far as it can be built from the event stores. What came from
// outside is in none of them, and is kept.
func (p *platform) readTo(ctx context.Context, adm *kadm.Client) (map[string]map[int32]int64, error) {
	read, err := p.reads.Offsets(ctx)
	if err != nil || p.supervised.named(ProjectionUnit).get().State != unitHalted {
		return read, err
	}
	for _, t := range p.topology.Topics() {
		if _, _, ours := p.topology.Decider(t.Writer); !ours {
			continue
		}
		ends, err := adm.ListEndOffsets(ctx, t.Name)
		if err != nil {
			return nil, err
		}
		for part, at := range read[t.Name] {
			if end, ok := ends.Lookup(t.Name, part); ok && end.Offset-at > maxKept {
				read[t.Name][part] = end.Offset - maxKept
			}
		}
	}
	return read, nil
}
