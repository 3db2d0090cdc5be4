package console

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/weirstream/weir/processors/analytics"
	"github.com/weirstream/weir/streams/business"
)

// timesShown bounds how many things have a chart of their own.
const timesShown = 12

// timeChart is a number over time of one thing: bars of a width that is the same for each
// length of time, gaps where nothing is.
type timeChart struct {
	Name, Most string
	Bars       []timeBar
	Zero       float64 // where 0 is
	size       float64
	rows       [][]any
}

// timeBar is in thousandths of the width and the height.
type timeBar struct {
	X, W, Y, H float64
	Class      string
	Title      string
}

// bucket is a length of time: so many units after 1970.
type bucket int64

// bucketOf reads a time as analytics.Dialect.Bucket writes it.
func bucketOf(text, unit string) (bucket, bool) {
	layout := map[string]string{"hour": "2006-01-02 15:04", "day": time.DateOnly, "month": "2006-01", "year": "2006"}[unit]
	if unit == "week" {
		var year, week int
		if _, err := fmt.Sscanf(text, "%d-W%d", &year, &week); err != nil {
			return 0, false
		}
		fourth := time.Date(year, 1, 4, 0, 0, 0, 0, time.UTC) // is in the first week
		return bucketAt(fourth.AddDate(0, 0, 7*(week-1)), unit), true
	}
	t, err := time.Parse(layout, text)
	return bucketAt(t, unit), err == nil
}

// bucketAt is where the clock on the wall is, whatever its zone.
func bucketAt(t time.Time, unit string) bucket {
	wall := time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), 0, 0, 0, time.UTC)
	switch unit {
	case "year":
		return bucket(t.Year() - 1970)
	case "month":
		return bucket((t.Year()-1970)*12 + int(t.Month()) - 1)
	case "week":
		return bucket((wall.Unix()/86400 + 3) / 7) // 1970 began on a Thursday
	case "day":
		return bucket(wall.Unix() / 86400)
	}
	return bucket(wall.Unix() / 3600)
}

// name is how an answer calls it.
func (b bucket) name(unit string) string {
	switch unit {
	case "year":
		return fmt.Sprint(1970 + int(b))
	case "month":
		return time.Date(1970, time.Month(1+int(b)), 1, 0, 0, 0, 0, time.UTC).Format("2006-01")
	case "week":
		year, week := time.Unix((int64(b)*7-3)*86400, 0).UTC().ISOWeek()
		return fmt.Sprintf("%d-W%02d", year, week)
	case "day":
		return time.Unix(int64(b)*86400, 0).UTC().Format(time.DateOnly)
	}
	return time.Unix(int64(b)*3600, 0).UTC().Format("2006-01-02 15:00")
}

// drawTimes draws a number over time, of each thing by itself: the greatest first.
func (c *Console) drawTimes(v *answerView, a *questionAsk, x *analytics.Answer, d drawnNumber) {
	unit := x.Columns[d.time].Name
	if len(x.Rows) == 0 || len(d.columns) == 0 || !slices.Contains(business.Units, unit) {
		return
	}
	first, last, ok := c.reach(a, x, d, unit)
	if !ok {
		return
	}
	var charts []*timeChart
	by := map[string]*timeChart{}
	for _, row := range x.Rows {
		var parts []string
		for i, col := range x.Columns {
			if i != d.time && (!isNumber(col.Kind) || a.chooses(col.Name)) {
				parts = append(parts, valueOf(a.Shape, x.Columns, row, i))
			}
		}
		name := strings.Join(parts, " · ")
		if by[name] == nil {
			by[name] = &timeChart{Name: name}
			charts = append(charts, by[name])
		}
		by[name].rows = append(by[name].rows, row)
		by[name].size += numeric(row[d.columns[len(d.columns)-1]])
	}
	slices.SortStableFunc(charts, func(a, b *timeChart) int {
		return cmp.Or(strings.Compare(d.scaleOf(a.rows[0]), d.scaleOf(b.rows[0])), cmp.Compare(b.size, a.size))
	})
	scales := d.scalesOf(x.Rows)
	for _, chart := range charts[:min(len(charts), timesShown)] {
		chart.draw(x, d, a.Shape, unit, first, last, scales[d.scaleOf(chart.rows[0])])
		v.Charts = append(v.Charts, *chart)
	}
	v.Fewer = len(charts) - len(v.Charts)
	v.Axis = [3]string{first.name(unit), ((first + last) / 2).name(unit), last.name(unit)}
}

// reach is from when to when charts go: over what was asked for, or over what there is.
func (c *Console) reach(a *questionAsk, x *analytics.Answer, d drawnNumber, unit string) (first, last bucket, ok bool) {
	for _, row := range x.Rows {
		b, read := bucketOf(analytics.PlainText(row[d.time]), unit)
		if !read {
			return 0, 0, false
		}
		if !ok {
			first, last, ok = b, b, true
		}
		first, last = min(first, b), max(last, b)
	}
	in, err := time.LoadLocation(a.params.Zone)
	if err != nil {
		return first, last, ok
	}
	to := a.params.To
	if !a.params.From.IsZero() {
		first = min(first, bucketAt(a.params.From.In(in), unit))
		if to.IsZero() {
			to = c.Now().Add(1)
		}
	}
	if !to.IsZero() {
		last = max(last, bucketAt(to.Add(-1).In(in), unit))
	}
	return first, last, ok
}

func (t *timeChart) draw(x *analytics.Answer, d drawnNumber, shape business.Shape, unit string, first, last bucket, s extent) {
	width, height := 1000/float64(last-first+1), s.high-s.low
	greatest := -1
	for i, row := range t.rows {
		end := d.columns[len(d.columns)-1]
		if greatest < 0 || numeric(row[end]) > numeric(t.rows[greatest][end]) {
			greatest = i
		}
		at, _ := bucketOf(analytics.PlainText(row[d.time]), unit)
		title := analytics.PlainText(row[d.time]) + ": "
		for j, column := range d.columns {
			if j > 0 {
				title += ", "
			}
			if len(d.columns) > 1 {
				title += []string{"P50 ", "P95 ", "P99 "}[min(j, 2)]
			}
			title += cmp.Or(valueOf(shape, x.Columns, row, column), "–")
		}
		if height <= 0 {
			continue
		}
		for _, p := range d.pieces(row, s) {
			t.Bars = append(t.Bars, timeBar{X: tenth(float64(at-first)*width + width*0.08), W: max(tenth(width*0.84), 0.6), Y: tenth(1000 - p.X - p.W), H: p.W, Class: p.Class, Title: title})
		}
	}
	row := t.rows[greatest]
	t.Most = cmp.Or(valueOf(shape, x.Columns, row, d.columns[len(d.columns)-1]), "–") + " at most, " + analytics.PlainText(row[d.time])
	if height > 0 {
		t.Zero = tenth(1000 + 1000*s.low/height)
	}
}
