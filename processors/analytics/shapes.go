package analytics

import (
	"cmp"
	"fmt"
	"time"
)

// cohorts answers how many of those who first came in a time came again so many times
// later. What is before the beginning is read as well: who came then is no newcomer.
func (a *asking) cohorts() error {
	a.unit = cmp.Or(a.unit, "month")
	src, err := a.source(wanted{fields: []string{a.Who}, ever: true})
	if err != nil {
		return err
	}
	who := src.field(a.Who)
	visits := piece("SELECT %s AS `who`, %s AS `b`, %s AS `t` FROM %s%s", who, a.d.Bucket(src.at, a.unit, a.p.Zone), a.d.Nanos(src.at), src.from,
		where(append(src.where, sql{text: who + " <> ''"})))
	once := piece("SELECT `who`, `b`, min(`t`) AS `t1` FROM (%s) AS v GROUP BY `who`, `b`", visits)
	first := piece("SELECT `b`, min(`b`) OVER (PARTITION BY `who`) AS `b0`, min(`t1`) OVER (PARTITION BY `who`) AS `t0` FROM (%s) AS o", once)
	var since []sql
	if !a.p.From.IsZero() {
		since = append(since, sql{"`t0` >= ?", []any{a.p.From.UnixNano()}})
	}
	r, err := a.run(piece("SELECT `b0`, `b`, count(*) AS `n` FROM (%s) AS f%s GROUP BY `b0`, `b` ORDER BY `b0`, `b` LIMIT %s", first, where(since), sql{"?", []any{int64(a.p.Limit + 1)}}))
	if err != nil {
		return err
	}
	a.column("first", IsTime)
	a.column("later", IsCount)
	a.column("came", IsCount)
	a.column("share", IsShare)
	var of any
	for _, row := range r.Rows {
		began, _ := row[0].(string)
		now, _ := row[1].(string)
		later, err := apart(began, now, a.unit)
		if err != nil {
			return err
		}
		if later == 0 {
			of = row[2]
		}
		a.row(began, later, row[2], share(row[2], of))
	}
	return nil
}

// apart is how many units of time one begins after another, as Dialect.Bucket writes them.
func apart(from, to, unit string) (int64, error) {
	a, err := beginning(from, unit)
	if err != nil {
		return 0, err
	}
	b, err := beginning(to, unit)
	if err != nil {
		return 0, err
	}
	switch days := int64(b.Sub(a) / (24 * time.Hour)); unit {
	case "year":
		return int64(b.Year() - a.Year()), nil
	case "month":
		return int64((b.Year()-a.Year())*12 + int(b.Month()-a.Month())), nil
	case "week":
		return days / 7, nil
	default:
		return days, nil
	}
}

func beginning(text, unit string) (time.Time, error) {
	if unit != "week" {
		return time.Parse(map[string]string{"year": "2006", "month": "2006-01", "day": time.DateOnly}[unit], text)
	}
	var year, week int
	if _, err := fmt.Sscanf(text, "%d-W%d", &year, &week); err != nil {
		return time.Time{}, fmt.Errorf("the engine writes a week as %q: %w", text, err)
	}
	fourth := time.Date(year, 1, 4, 0, 0, 0, 0, time.UTC) // is in the first week
	return fourth.AddDate(0, 0, 7*(week-1)-(int(fourth.Weekday())+6)%7), nil
}

// pairs answers which two items are together for one key, each pair once.
func (a *asking) pairs() error {
	src, err := a.source(wanted{fields: []string{a.Item}})
	if err != nil {
		return err
	}
	item := src.field(a.Item)
	items := piece("SELECT %s AS `key1`, %s AS `item` FROM %s%s", src.key, item, src.from, where(append(src.where, sql{text: item + " <> ''"})))
	limit := a.p.Limit + 1
	if a.Top > 0 {
		limit = min(limit, a.Top)
	}
	pairs := sql{a.d.Pairs(items.text), items.args}
	r, err := a.run(piece("SELECT `one`, `other`, count(*) AS `n` FROM %s AS p GROUP BY `one`, `other` ORDER BY `n` DESC, `one`, `other` LIMIT %s", pairs, sql{"?", []any{int64(limit)}}))
	if err != nil {
		return err
	}
	a.column("one", IsText)
	a.column("other", IsText)
	a.column("together", IsCount)
	for _, row := range r.Rows {
		a.row(row...)
	}
	return nil
}
