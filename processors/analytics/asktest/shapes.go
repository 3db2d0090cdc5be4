package asktest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
)

// documents are paid visits by the time when they were booked.
func (m *asked) documents() {
	from, to := time.Date(2009, 12, 24, 0, 0, 0, 0, time.UTC), time.Date(2010, 2, 1, 0, 0, 0, 0, time.UTC)
	waits := map[string][]int64{}
	sums := map[string]int64{}
	counts := map[string]int{}
	for _, v := range m.visits {
		if v.paid.IsZero() || v.at.Before(from) || !v.at.Before(to) {
			continue
		}
		key := v.booked.Total.Currency + "\x00" + v.state()
		counts[key]++
		sums[key] += v.booked.Total.Minor
		if !v.came.IsZero() {
			waits[key] = append(waits[key], int64(v.came.Sub(v.at)))
		}
	}
	var want []string
	for key, n := range counts {
		k := strings.Split(key, "\x00")
		slices.Sort(waits[key])
		wait := "<nil>|<nil>|<nil>"
		if w := waits[key]; len(w) > 0 {
			wait = fmt.Sprintf("%d|%d|%d", w[len(w)/2], w[min(len(w)-1, int(0.95*float64(len(w))))], w[min(len(w)-1, int(0.99*float64(len(w))))])
		}
		want = append(want, fmt.Sprintf("%s|%06d|%s|%s|%d|%s|%s", k[0], 100_000-n, k[1], k[0], n, wait, money(sums[key], k[0])))
	}
	slices.Sort(want)
	for i := range want {
		want[i] = want[i][len("GBP|000000|"):]
	}
	m.same("wait by state", m.ask("wait", analytics.Params{From: from, To: to, By: []string{"state"}}), want)
}

func (m *asked) cohorts() {
	month := func(t time.Time) int { return t.Year()*12 + int(t.Month()) - 1 }
	first, first1 := map[string]int{}, map[string]time.Time{}
	for _, v := range m.visits {
		if g := v.booked.Guest; !v.paid.IsZero() && (first[g] == 0 || v.at.Before(first1[g])) {
			first[g], first1[g] = month(v.at), v.at
		}
	}
	from := time.Date(2009, 11, 25, 0, 0, 0, 0, time.UTC)
	came, seen := map[[2]int]int{}, map[string]bool{}
	for _, v := range m.visits {
		g := v.booked.Guest
		once := fmt.Sprint(g, month(v.at))
		if v.paid.IsZero() || seen[once] || first1[g].Before(from) {
			continue
		}
		seen[once] = true
		came[[2]int{first[g], month(v.at) - first[g]}]++
	}
	var want []string
	for k, n := range came {
		want = append(want, fmt.Sprintf("%d-%02d|%d|%d|%.6f", k[0]/12, k[0]%12+1, k[1], n, float64(n)/float64(came[[2]int{k[0], 0}])))
	}
	slices.Sort(want)
	m.same("who comes again", m.ask("again", analytics.Params{From: from}), want)
}

func (m *asked) pairs() {
	both := map[string]int{}
	for _, v := range m.visits {
		in := map[string]bool{}
		for _, s := range v.booked.Rooms {
			in[s.Room] = true
		}
		for a := range in {
			for b := range in {
				if a < b {
					both[a+"|"+b]++
				}
			}
		}
	}
	var want []string
	for pair, n := range both {
		want = append(want, fmt.Sprintf("%06d|%s|%d", 100_000-n, pair, n))
	}
	slices.Sort(want)
	for i := range want {
		want[i] = want[i][len("000000|"):]
	}
	m.same("rooms together", m.ask("together", analytics.Params{}), want[:5])
}

func (m *asked) saga() {
	from := time.Date(2010, 1, 1, 0, 0, 0, 0, time.UTC)
	var started, paids, refusals, cames int
	var hops [3][]int64 // booked to paid, to refused, paid to came
	for id, v := range m.visits {
		if v.at.Before(from) {
			continue
		}
		started++
		for _, x := range m.told {
			switch e := x.Event.(type) {
			case paid:
				if e.Visit == id {
					paids++
					hops[0] = append(hops[0], int64(x.At.Sub(v.at)))
				}
			case refused:
				if e.Visit == id {
					refusals++
					hops[1] = append(hops[1], int64(x.At.Sub(v.at)))
				}
			case came:
				if e.Visit == id {
					cames++
					hops[2] = append(hops[2], int64(x.At.Sub(v.paid)))
				}
			}
		}
	}
	of := func(name, says, ends string, n int) string {
		return fmt.Sprintf("%s|%s|%s|%d|%.6f", name, says, ends, n, float64(n)/float64(started))
	}
	m.same("how far visits get", m.ask("visit-funnel", analytics.Params{From: from}), []string{of("visit.booked", "the visit was booked", "", started), of("visit.paid", "visit paid", "", paids),
		of("visit.refused", "visit refused", "end", refusals), of("visit.came", "visit came", "end", cames), of("", "none of its ends was reached yet", "open", started-refusals-cames)})
	var want []string
	for i, name := range []string{"desk|visit.booked|visit.paid", "desk|visit.booked|visit.refused", "desk|visit.paid|visit.came"} {
		h := hops[i]
		slices.Sort(h)
		want = append(want, fmt.Sprintf("%s|%d|%d|%d|%d", name, len(h), h[len(h)/2], h[int(0.95*float64(len(h)))], h[int(0.99*float64(len(h)))]))
	}
	m.same("how long hops take", m.ask("visit-steps", analytics.Params{From: from}), want)
}

func (m *asked) story() {
	type line struct {
		at   time.Time
		seq  int
		text string
	}
	var all []line
	for i, x := range m.told {
		name, key := m.schema.Topology.Name(x.Event), x.Event.Key()
		if x.Correlation == "c-7" {
			f, _ := m.schema.Topology.Vocabulary.Fact(name)
			all = append(all, line{x.At, i, fmt.Sprintf("%s|%s|%s|%s|%s|teller", x.At.Format(time.RFC3339Nano), name, f.Happened, key.Kind(), key)})
		}
	}
	slices.SortFunc(all, func(a, b line) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.seq, b.seq)) })
	var want []string
	for _, x := range all {
		want = append(want, x.text)
	}
	m.same("what happened to v-7", m.ask("visit-story", analytics.Params{Key: "v-7"}), want)
	if a, err := m.answer("visit-story", analytics.Params{Key: "' OR 1=1 --"}); err != nil || len(a.Rows) != 0 {
		m.Errorf("the story of nothing is %v (%v)", a, err)
	}
}
