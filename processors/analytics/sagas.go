package analytics

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/streams"
)

// hop is a reaction of a saga from one event to one that follows.
type hop struct{ by, on, emits string }

// hopsOf are the hops of a saga between public events, each once; and all its types, in
// the order in which they follow from one another.
func (a *asking) hopsOf() (saga streams.Saga, hops []hop, types []string, err error) {
	saga, ok := a.s.Business.Saga(a.Saga)
	if !ok {
		return saga, nil, nil, fmt.Errorf("there is no saga %s", a.Saga)
	}
	t := a.s.Topology
	steps := saga.Steps(t)
	public := sagaTypes(saga, t)
	add := func(name string) {
		if slices.Contains(public, name) && !slices.Contains(types, name) {
			types = append(types, name)
		}
	}
	add(t.Name(saga.Starts))
	for _, s := range steps {
		add(s.On)
		for _, e := range s.Emits {
			h := hop{s.By, s.On, e}
			if add(e); slices.Contains(public, s.On) && slices.Contains(public, e) && !slices.Contains(hops, h) {
				hops = append(hops, h)
			}
		}
	}
	for _, name := range public {
		add(name)
	}
	return saga, hops, types, nil
}

// started are the rows of the sagas that began in the range, one group for each: what
// follows FROM. Without a range it is cheaper to look at all.
func (a *asking) started(saga streams.Saga) sql {
	table, start := quoted(SagaTable(a.Saga)), "`_type` = "+literal(a.s.Topology.Name(saga.Starts))
	may := append([]sql{{text: start}}, a.within("`_time`", a.p.From, a.p.To)...)
	if len(may) == 1 {
		return sql{text: table + " GROUP BY `_correlation` HAVING max(CASE WHEN " + start + " THEN 1 ELSE 0 END) = 1"}
	}
	return piece("%s WHERE `_correlation` IN (SELECT `_correlation` FROM %s%s) GROUP BY `_correlation`", table, table, where(may))
}

// funnel answers how many of those that started in the range reached each event.
func (a *asking) funnel() error {
	saga, _, types, err := a.hopsOf()
	if err != nil {
		return err
	}
	var ends []string
	for _, e := range saga.Ends {
		ends = append(ends, a.s.Topology.Name(e))
	}
	flag := func(names []string) string {
		return "max(CASE WHEN `_type` IN (" + list(names, literal) + ") THEN 1 ELSE 0 END)"
	}
	flags, sums := flag(ends)+" AS `ended`", "sum(1 - `ended`)"
	for i, name := range types {
		flags += fmt.Sprintf(", %s AS `s%d`", flag([]string{name}), i)
		sums += fmt.Sprintf(", sum(`s%d`)", i)
	}
	r, err := a.run(piece("SELECT %s FROM (SELECT %s FROM %s) AS f", sums, flags, a.started(saga)))
	if err != nil {
		return err
	}
	a.column("event", IsText)
	a.column("says", IsText)
	a.column("ends", IsText)
	a.column("reached", IsCount)
	a.column("share", IsShare)
	if len(r.Rows) == 0 || floatOf(r.Rows[0][1]) == 0 {
		return nil // none started
	}
	row := r.Rows[0]
	for i, name := range types {
		how := ""
		if slices.Contains(ends, name) {
			how = "end"
		}
		a.row(name, a.says(name), how, row[i+1], share(row[i+1], row[1]))
	}
	a.row("", "none of its ends was reached yet", "open", row[0], share(row[0], row[1]))
	return nil
}

// says are the words of an event.
func (a *asking) says(name string) string {
	if f, ok := a.s.Topology.Vocabulary.Fact(name); ok {
		return f.Happened
	}
	return name
}

// hops answers how long each hop took: within one correlation from the last event before
// the first that follows it. It reads the saga's events once.
func (a *asking) hops() error {
	saga, hops, _, err := a.hopsOf()
	if err != nil {
		return err
	}
	a.column("by", IsText)
	a.column("on", IsText)
	a.column("emits", IsText)
	a.column("times", IsCount)
	for _, q := range quantiles {
		a.column(q.name, IsDuration)
	}
	there, err := a.occurring()
	if err != nil {
		return err
	}
	if len(there) > 0 { // who writes the question for others has asked nobody
		hops = slices.DeleteFunc(hops, func(h hop) bool { return !there[h.on] || !there[h.emits] })
	}
	if len(hops) == 0 {
		return nil
	}
	var emitted, begun []string
	for _, h := range hops {
		if !slices.Contains(emitted, h.emits) {
			emitted = append(emitted, h.emits)
		}
		if !slices.Contains(begun, h.on) {
			begun = append(begun, h.on)
		}
	}
	var of, waits, numbers []string
	for i, e := range emitted {
		of = append(of, fmt.Sprintf("min(%s) FILTER (WHERE `_type` = %s) AS `e%d`", a.d.Nanos("`_time`"), literal(e), i))
	}
	for i, e := range begun {
		of = append(of, a.d.Collect(a.d.Nanos("`_time`"), "`_type` = "+literal(e))+fmt.Sprintf(" AS `o%d`", i))
	}
	for i, h := range hops {
		e := fmt.Sprintf("`e%d`", slices.Index(emitted, h.emits))
		waits = append(waits, fmt.Sprintf("%s - %s AS `h%d`", e, a.d.LastUpTo(fmt.Sprintf("`o%d`", slices.Index(begun, h.on)), e), i))
		x := fmt.Sprintf("`h%d`", i)
		numbers = append(numbers, "count("+x+") AS "+quoted(hopColumn(i, 0)))
		for j, q := range quantiles {
			numbers = append(numbers, a.d.Quantile(x, q.q)+" AS "+quoted(hopColumn(i, 1+j)))
		}
	}
	each := piece("SELECT `_correlation`, %s FROM %s", strings.Join(of, ", "), a.started(saga))
	r, err := a.run(piece("SELECT %s FROM (SELECT %s FROM (%s) AS e) AS h", strings.Join(numbers, ", "), strings.Join(waits, ", "), each))
	if err != nil || len(r.Rows) == 0 {
		return err
	}
	width := 1 + len(quantiles)
	for i, h := range hops {
		if n := r.Rows[0][i*width : (i+1)*width]; floatOf(n[0]) > 0 {
			a.row(append([]any{h.by, h.on, h.emits}, n...)...)
		}
	}
	return nil
}

// occurring are the types of a saga of which there are events: asking for those of all that
// could be takes twice as long as for those that mostly are.
func (a *asking) occurring() (map[string]bool, error) {
	r, err := a.run(piece("SELECT DISTINCT `_type` FROM %s", quoted(SagaTable(a.Saga))))
	if err != nil {
		return nil, err
	}
	out := map[string]bool{}
	for _, row := range r.Rows {
		if name, ok := row[0].(string); ok {
			out[name] = true
		}
	}
	return out, nil
}

// hopColumn is a number of a hop: how often it was, or one of the quantiles.
func hopColumn(hop, number int) string { return fmt.Sprintf("n%d_%d", hop, number) }

// story answers what happened to a document: events of its key, and of the correlations
// that they belong to.
func (a *asking) story() error {
	v := a.View
	var types []string
	for _, s := range v.From {
		if !s.OfOther() {
			types = append(types, a.s.Topology.Name(s.Event))
		}
	}
	related := sql{"SELECT `_correlation` FROM " + quoted(ViewTable(v.Name)) + " WHERE `_key` = ? AND `_type` IN (" + list(types, literal) + ") AND `_correlation` <> ''", []any{a.p.Key}}
	if len(types) == 0 {
		related = sql{text: "''"}
	}
	conditions := append([]sql{piece("(`key` = %s AND `kind` = %s OR `correlation` IN (%s))", sql{"?", []any{a.p.Key}}, literal(v.Key.Kind()), related)}, a.within("`time`", a.p.From, a.p.To)...)
	r, err := a.run(piece("SELECT %s AS `t`, `type`, `kind`, `key`, `source` FROM %s%s ORDER BY `t`, `lane`, `sequence`, `topic`, `partition`, `offset` LIMIT %s",
		a.d.Nanos("`time`"), quoted(EventsTable), where(conditions), sql{"?", []any{int64(a.p.Limit + 1)}}))
	if err != nil {
		return err
	}
	a.column("time", IsTime)
	a.column("event", IsText)
	a.column("says", IsText)
	a.column("kind", IsText)
	a.column("key", IsText)
	a.column("by", IsText)
	for _, row := range r.Rows {
		nanos, _ := row[0].(int64)
		name, _ := row[1].(string)
		a.row(time.Unix(0, nanos).UTC().Format(time.RFC3339Nano), name, a.says(name), row[2], row[3], row[4])
	}
	return nil
}
