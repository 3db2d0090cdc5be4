package platform

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"

	"github.com/weirstream/weir/services/gateway/edge"
	"github.com/weirstream/weir/streams"
)

// pipelines are those that run in this process.
type pipelines struct {
	mu      sync.Mutex
	running map[string]*streams.PipelineInstance // the latest life of each
}

// startPipelines runs each pipeline as a unit of its own.
func (p *platform) startPipelines(ctx context.Context) error {
	p.pipelines.running = map[string]*streams.PipelineInstance{}
	run := map[string]func(context.Context) error{}
	for _, name := range p.units.pipelines {
		run[name] = func(ctx context.Context) error {
			i, err := streams.NewPipelineInstance(p.runtime(), name)
			if err != nil {
				return err
			}
			p.pipelines.mu.Lock()
			p.pipelines.running[name] = i
			p.pipelines.mu.Unlock()
			return i.Run(ctx)
		}
	}
	p.together(ctx, run)
	return nil
}

// pipelineReady tells why a pipeline of this process passes nothing on; nil if it does.
func (p *platform) pipelineReady(name string) error {
	if t := p.supervised.named(name).trouble(); t != "" {
		return errors.New(t)
	}
	p.pipelines.mu.Lock()
	i := p.pipelines.running[name]
	p.pipelines.mu.Unlock()
	if i == nil {
		return fmt.Errorf("pipeline %s has not begun yet", name)
	}
	if err := i.Ready(); err != nil {
		return fmt.Errorf("pipeline %s: %w", name, err)
	}
	return nil
}

// acceptLog lets a halted pipeline go on with its input as it is.
func (p *platform) acceptLog(w http.ResponseWriter, r *http.Request, u *unit) {
	lost, err := streams.AcceptLog(r.Context(), p.runtime(), u.name)
	if err != nil {
		(&edge.Problem{Code: "not-possible", Status: http.StatusConflict, Detail: "its input cannot be accepted: " + err.Error()}).Write(w)
		return
	}
	for _, l := range lost {
		p.Log.Warn("what is lost is accepted, as a person asks", "unit", u.name, "hole", l.Error())
	}
	u.restart(w)
}

// positions are how far the pipelines have read, by topic and partition, for who trims
// the log: 0 where one has not said.
func (p *platform) positions(ctx context.Context, adm *kadm.Client, take func(topic string, partition int32, at int64)) error {
	for _, pipeline := range p.topology.Pipelines {
		offsets, err := adm.FetchOffsets(ctx, pipeline.Name)
		if err != nil {
			return fmt.Errorf("positions of pipeline %s: %w", pipeline.Name, err)
		}
		for _, e := range pipeline.On {
			topic, ok := p.topology.Topic(p.topology.Name(e))
			if !ok {
				continue
			}
			for part := range p.Config.Partitions {
				at := int64(0)
				if o, ok := offsets.Lookup(topic.Name, part); ok && o.At > 0 {
					at = o.At
				}
				take(topic.Name, part, at)
			}
		}
	}
	return nil
}
