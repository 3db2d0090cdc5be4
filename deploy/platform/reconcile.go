package platform

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/services/gateway/edge"
)

// ReconcilePath is where analytics is compared with the log, whole: POST begins that, GET
// says how it goes.
const ReconcilePath = "/v1/reconcile"

// Reconciliation is how a comparison of all analytics with the log goes, or went.
type Reconciliation struct {
	Running     bool                   `json:"running"`
	Began       time.Time              `json:"began,omitzero"`
	Ended       time.Time              `json:"ended,omitzero"`
	Done        int64                  `json:"done"` // blocks
	Of          int64                  `json:"of"`
	Differences []analytics.Difference `json:"differences"`
	Error       string                 `json:"error,omitempty"`
}

// reconciliation is the one that there is at a time.
type reconciliation struct {
	mu  sync.Mutex
	now Reconciliation
	all sync.WaitGroup
}

func (r *reconciliation) get() Reconciliation {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now
}

func (r *reconciliation) change(f func(*Reconciliation)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.now)
}

func (p *platform) reconcileState(w http.ResponseWriter, _ *http.Request) {
	if p.analyticsHere(w) {
		edge.JSON(w, http.StatusOK, p.analytics.reconciling.get())
	}
}

// reconcile begins a comparison, if none is on. It ends with the platform.
func (p *platform) reconcile(w http.ResponseWriter, _ *http.Request) {
	if !p.analyticsHere(w) {
		return
	}
	r := &p.analytics.reconciling
	begin := false
	r.change(func(now *Reconciliation) {
		if begin = !now.Running; begin {
			*now = Reconciliation{Running: true, Began: time.Now().UTC(), Differences: []analytics.Difference{}}
			r.all.Add(1)
		}
	})
	if begin {
		go p.reconcileAll(p.analytics.ctx)
	}
	edge.JSON(w, http.StatusAccepted, r.get())
}

func (p *platform) reconcileAll(ctx context.Context) {
	r := &p.analytics.reconciling
	defer r.all.Done()
	all := analytics.Reconciler{Store: p.analytics.store, Schema: p.analytics.schema, Client: p.kafka, Keep: p.keepHistory(), Log: p.Log}
	found, err := all.All(ctx, func(done, of int64) {
		r.change(func(now *Reconciliation) { now.Done, now.Of = done, of })
	})
	r.change(func(now *Reconciliation) {
		now.Running, now.Ended, now.Differences = false, time.Now().UTC(), append(now.Differences, found...)
		if err != nil {
			now.Error = err.Error()
		}
	})
}

func (p *platform) analyticsHere(w http.ResponseWriter) bool {
	if p.analytics.store == nil {
		(&edge.Problem{Code: "not-found", Status: http.StatusNotFound, Detail: "this process keeps no analytics: ask one that runs the unit analytics"}).Write(w)
		return false
	}
	return true
}
