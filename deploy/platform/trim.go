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
		for {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return nil
			}
			if err := p.trim(ctx, kadm.NewClient(cl)); err != nil && ctx.Err() == nil {
				p.Log.Warn("log not trimmed", "error", err)
			}
		}
	})
	return nil
}

// trim deletes up to the lowest stored cursor of each partition, less the window.
func (p *platform) trim(ctx context.Context, adm *kadm.Client) error {
	if len(p.notReady()) > 0 {
		return nil // a lane that is not at work does not tell how far it has read
	}
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
	read, err := p.reads.Offsets(ctx)
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
