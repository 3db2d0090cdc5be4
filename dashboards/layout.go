package dashboards

import (
	"slices"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// columns is the width of Grafana's grid.
const columns = 24

// row is a group of panels under a title.
type row struct {
	title  string
	folded bool // opened by a click; its queries wait until then
	panels []*panel
}

// place puts rows below one another and their panels from left to right, and
// numbers all from 1. It notes which queries may have no series, and which panels
// mark no value.
func (b Board) place(rows []row) (out []dashboard.PanelOrRowPanel) {
	id, y := uint32(0), uint32(0)
	for _, r := range rows {
		id++
		head := dashboard.RowPanel{Type: "row", Title: cog.ToPtr(r.title), Id: id, Collapsed: r.folded, Panels: []dashboard.Panel{},
			GridPos: &dashboard.GridPos{W: columns, H: 1, Y: y}}
		y++
		panels, bottom := b.flow(r.panels, id, y)
		id += uint32(len(panels))
		if r.folded { // its panels take no room until it is opened
			head.Panels = panels
			out = append(out, dashboard.PanelOrRowPanel{RowPanel: &head})
			continue
		}
		out = append(out, dashboard.PanelOrRowPanel{RowPanel: &head})
		for i := range panels {
			out = append(out, dashboard.PanelOrRowPanel{Panel: &panels[i]})
		}
		y = bottom
	}
	return out
}

// flow puts each panel where there is room highest up, and there to the left.
func (b Board) flow(panels []*panel, id, y uint32) (out []dashboard.Panel, bottom uint32) {
	var used [columns]uint32 // how far down each column is taken
	for x := range used {
		used[x] = y
	}
	for _, p := range panels {
		id++
		placed := p.Panel
		placed.Id = cog.ToPtr(id)
		placed.GridPos = room(used, p.w, p.h)
		for x := placed.GridPos.X; x < placed.GridPos.X+p.w; x++ {
			used[x] = placed.GridPos.Y + p.h
		}
		for ref, why := range p.empty {
			b.empty[target{id, ref}] = why
		}
		if p.free != "" {
			b.free[id] = p.free
		}
		out = append(out, placed)
	}
	return out, slices.Max(used[:])
}

// room finds the place of a panel above which nothing is free.
func room(used [columns]uint32, w, h uint32) *dashboard.GridPos {
	var best *dashboard.GridPos
	for x := uint32(0); x+w <= columns; x++ {
		if y := slices.Max(used[x : x+w]); best == nil || y < best.Y {
			best = &dashboard.GridPos{X: x, Y: y, W: w, H: h}
		}
	}
	return best
}
