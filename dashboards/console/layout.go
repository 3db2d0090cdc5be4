package console

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/weirstream/weir/streams"
)

// Measures of the drawing, in its own units.
const (
	boxWidth, boxHeight = 150, 50
	columnGap, rowGap   = 96, 22
	portGap             = 12 // between the ends of edges on a side
	detourHeight        = 18 // of the place that a passing edge takes in a column
	margin              = 8
)

// box is a decider, or whoever else stands at the end of a flow.
type box struct {
	Name       string
	X, Y, W, H float64
	Outside    bool // no decider of the topology
}

// route is a drawn flow.
type route struct {
	From, To string
	Events   []string
	Path     string
}

// drawing is the topology in layers from left to right.
type drawing struct {
	W, H   float64
	Boxes  []box
	Routes []route
}

// spot is a place in a column: a box, or the detour of an edge that passes.
type spot struct {
	name   string
	detour bool
	column int
	x, y   float64 // of the left upper corner
	h      float64
}

func (s *spot) middle() float64 { return s.y + s.h/2 }

// draw lays flows out so that who is told stands right of who tells, as far as
// circles allow it. inside says which names are deciders.
func draw(flows []streams.Flow, inside func(string) bool) drawing {
	columns := columnsOf(flows)
	spots, chains := place(flows, columns)
	grow(chains)
	grid := arrange(spots, chains)
	position(grid)
	d := drawing{}
	for _, column := range grid {
		for _, s := range column {
			d.W, d.H = max(d.W, s.x+boxWidth+margin), max(d.H, s.y+s.h+margin)
			if !s.detour {
				d.Boxes = append(d.Boxes, box{s.name, s.x, s.y, boxWidth, s.h, !inside(s.name)})
			}
		}
	}
	p := newPorts(chains)
	for i, f := range flows {
		d.Routes = append(d.Routes, route{f.From, f.To, f.Events, p.path(chains[i])})
	}
	return d
}

// columnsOf is each name's distance from where things begin.
func columnsOf(flows []streams.Flow) map[string]int {
	var names []string
	told := map[string]bool{}
	next := map[string][]string{}
	for _, f := range flows {
		for _, n := range []string{f.From, f.To} {
			if !slices.Contains(names, n) {
				names = append(names, n)
			}
		}
		if f.From != f.To {
			told[f.To] = true
			next[f.From] = append(next[f.From], f.To)
		}
	}
	columns := map[string]int{}
	for _, start := range starts(names, told, next) {
		if _, ok := columns[start]; ok {
			continue
		}
		reach := distances(start, next)
		shift := 0 // a lesser beginning stands left of the first it tells
		for n, d := range reach {
			if c, ok := columns[n]; ok && d == 1 {
				shift = max(c-1, 0)
			}
		}
		for n, d := range reach {
			if _, ok := columns[n]; !ok {
				columns[n] = d + shift
			}
		}
	}
	return columns
}

// starts are all names, those first that nobody tells, and of them the ones
// that reach most by the shortest ways.
func starts(names []string, told map[string]bool, next map[string][]string) []string {
	out := slices.Clone(names)
	slices.SortStableFunc(out, func(a, b string) int {
		if told[a] != told[b] {
			if told[b] {
				return -1
			}
			return 1
		}
		ra, rb := distances(a, next), distances(b, next)
		return cmp.Or(cmp.Compare(len(rb), len(ra)), cmp.Compare(total(ra), total(rb)))
	})
	return out
}

func total(m map[string]int) (sum int) {
	for _, n := range m {
		sum += n
	}
	return sum
}

func distances(from string, next map[string][]string) map[string]int {
	reach := map[string]int{from: 0}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, n := range next[queue[0]] {
			if _, ok := reach[n]; !ok {
				reach[n] = reach[queue[0]] + 1
				queue = append(queue, n)
			}
		}
	}
	return reach
}

// place makes the spots, and each flow's chain of them from its begin to its
// end: a flow over several columns passes each on a detour of its own.
func place(flows []streams.Flow, columns map[string]int) (spots []*spot, chains [][]*spot) {
	byName := map[string]*spot{}
	at := func(name string) *spot {
		if byName[name] == nil {
			byName[name] = &spot{name: name, column: columns[name], h: boxHeight}
			spots = append(spots, byName[name])
		}
		return byName[name]
	}
	for _, f := range flows {
		from, to := at(f.From), at(f.To)
		chain := []*spot{from}
		step := 1
		if to.column < from.column {
			step = -1
		}
		for c := from.column + step; from.column != to.column && c != to.column; c += step {
			s := &spot{name: fmt.Sprintf("%s→%s/%d", f.From, f.To, c), detour: true, column: c, h: detourHeight}
			spots = append(spots, s)
			chain = append(chain, s)
		}
		chains = append(chains, append(chain, to))
	}
	return spots, chains
}

// grow makes boxes high enough for the edges at their sides.
func grow(chains [][]*spot) {
	ends := map[*spot]map[bool]int{}
	for _, chain := range chains {
		for i := 1; i < len(chain); i++ {
			for _, e := range [][2]*spot{{chain[i-1], chain[i]}, {chain[i], chain[i-1]}} {
				if ends[e[0]] == nil {
					ends[e[0]] = map[bool]int{}
				}
				ends[e[0]][side(e[0], e[1])]++
			}
		}
	}
	for s, n := range ends {
		if !s.detour {
			s.h = max(s.h, portGap*float64(max(n[true], n[false])+1))
		}
	}
}

// arrange orders the spots of each column so that edges are short and cross
// seldom: it moves one within its column as long as that helps.
func arrange(spots []*spot, chains [][]*spot) [][]*spot {
	last := 0
	for _, s := range spots {
		last = max(last, s.column)
	}
	grid := make([][]*spot, last+1)
	for _, s := range spots {
		grid[s.column] = append(grid[s.column], s)
	}
	best := cost(grid, chains)
	for again := true; again; {
		again = false
		for _, column := range grid {
			for i := range column {
				for j := range column {
					move(column, i, j)
					if c := cost(grid, chains); c < best-1e-9 {
						best, again = c, true
						continue
					}
					move(column, j, i)
				}
			}
		}
	}
	return grid
}

// move takes one of a list to another place; the others close up.
func move(column []*spot, from, to int) {
	s := column[from]
	copy(column[from:], column[from+1:])
	copy(column[to+1:], column[to:len(column)-1])
	column[to] = s
}

// cost judges an arrangement: lengths, crossings, and neighbours that are none.
func cost(grid [][]*spot, chains [][]*spot) float64 {
	row := map[*spot]float64{}
	for _, column := range grid {
		for i, s := range column {
			row[s] = float64(i) - float64(len(column)-1)/2
		}
	}
	var links [][2]*spot // from left to right
	sum := 0.0
	for _, chain := range chains {
		for i := 1; i < len(chain); i++ {
			a, b := chain[i-1], chain[i]
			switch {
			case a.column == b.column:
				sum += 6 * max(math.Abs(row[a]-row[b])-1, 0)
				continue
			case a.column > b.column:
				a, b = b, a
			}
			links = append(links, [2]*spot{a, b})
			sum += math.Abs(row[a] - row[b])
		}
	}
	for i, l := range links {
		for _, m := range links[:i] {
			if l[0].column == m[0].column && (row[l[0]]-row[m[0]])*(row[l[1]]-row[m[1]]) < 0 {
				sum += 4
			}
		}
	}
	return sum
}

// position gives every spot its place; columns are centred.
func position(grid [][]*spot) {
	height := func(column []*spot) (h float64) {
		for i, s := range column {
			if i > 0 {
				h += rowGap
			}
			h += s.h
		}
		return h
	}
	tallest := 0.0
	for _, column := range grid {
		tallest = max(tallest, height(column))
	}
	for i, column := range grid {
		y := margin + (tallest-height(column))/2
		for _, s := range column {
			s.x, s.y = margin+float64(i)*(boxWidth+columnGap), y
			y += s.h + rowGap
		}
	}
}

// ports spreads the ends of edges over the sides of the boxes.
type ports struct {
	ends map[*spot]map[bool][]portEnd // by side: true is the right one
}

type portEnd struct {
	chain *spot // the first spot of the chain, with the other end: whose it is
	other *spot
	out   bool
}

// side is where a link leaves a spot: on the right to the next column and to
// its own, on the left to the one before.
func side(s, other *spot) (right bool) { return other.column >= s.column }

// straight are links between neighbours of a column, which need no port.
func straight(a, b *spot) bool {
	return a.column == b.column && math.Abs(a.middle()-b.middle()) < (a.h+b.h)/2+rowGap+1
}

func newPorts(chains [][]*spot) ports {
	p := ports{map[*spot]map[bool][]portEnd{}}
	for _, chain := range chains {
		for i := 1; i < len(chain); i++ {
			if a, b := chain[i-1], chain[i]; !straight(a, b) {
				p.add(a, portEnd{chain[0], b, true})
				p.add(b, portEnd{chain[0], a, false})
			}
		}
	}
	for _, sides := range p.ends {
		for _, ends := range sides {
			slices.SortStableFunc(ends, func(a, b portEnd) int {
				return cmp.Or(cmp.Compare(a.other.middle(), b.other.middle()), strings.Compare(fmt.Sprint(a.out), fmt.Sprint(b.out)))
			})
		}
	}
	return p
}

func (p ports) add(s *spot, e portEnd) {
	if p.ends[s] == nil {
		p.ends[s] = map[bool][]portEnd{}
	}
	right := side(s, e.other)
	p.ends[s][right] = append(p.ends[s][right], e)
}

// y is where an end lies on its side.
func (p ports) y(s, other, first *spot, out bool) float64 {
	ends := p.ends[s][side(s, other)]
	i := slices.Index(ends, portEnd{first, other, out})
	if s.detour {
		return s.middle()
	}
	return s.y + s.h*float64(i+1)/float64(len(ends)+1)
}

// path is the SVG path of a chain.
func (p ports) path(chain []*spot) string {
	var b strings.Builder
	for i := 1; i < len(chain); i++ {
		p.link(&b, chain[i-1], chain[i], chain[0])
	}
	return b.String()
}

func (p ports) link(b *strings.Builder, from, to, first *spot) {
	if straight(from, to) {
		x, y1, y2 := from.x+boxWidth/2, from.y+from.h, to.y
		if to.y < from.y {
			y1, y2 = from.y, to.y+to.h
			x += 16 // two that talk to each other do not lie on one another
		}
		fmt.Fprintf(b, "M%.1f %.1fL%.1f %.1f", x, y1, x, y2)
		return
	}
	edge := func(s, other *spot) float64 {
		if side(s, other) {
			return s.x + boxWidth
		}
		return s.x
	}
	x1, y1 := edge(from, to), p.y(from, to, first, true)
	x2, y2 := edge(to, from), p.y(to, from, first, false)
	if from.column == to.column { // around those in between, within the gap
		bend := x1 + columnGap*0.45
		fmt.Fprintf(b, "M%.1f %.1fC%.1f %.1f %.1f %.1f %.1f %.1f", x1, y1, bend, y1, bend, y2, x2, y2)
		return
	}
	half := (x1 + x2) / 2
	if from.detour {
		fmt.Fprintf(b, "L%.1f %.1f", x1, y1) // across the column that it passes
	} else {
		fmt.Fprintf(b, "M%.1f %.1f", x1, y1)
	}
	fmt.Fprintf(b, "C%.1f %.1f %.1f %.1f %.1f %.1f", half, y1, half, y2, x2, y2)
}
