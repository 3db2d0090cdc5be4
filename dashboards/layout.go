package dashboards

import (
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
// numbers all from 1. It notes in empty which queries may have no series.
func place(rows []row, empty map[target]string) (out []dashboard.PanelOrRowPanel) {
	id, y := uint32(0), uint32(0)
	for _, r := range rows {
		id++
		head := dashboard.RowPanel{Type: "row", Title: cog.ToPtr(r.title), Id: id, Collapsed: r.folded, Panels: []dashboard.Panel{},
			GridPos: &dashboard.GridPos{W: columns, H: 1, Y: y}}
		y++
		panels, bottom := flow(r.panels, id, y, empty)
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

// flow fills lines of the grid from y on, each as high as its highest panel.
func flow(panels []*panel, id, y uint32, empty map[target]string) (out []dashboard.Panel, bottom uint32) {
	x, high := uint32(0), uint32(0)
	for _, p := range panels {
		if x+p.w > columns {
			x, y, high = 0, y+high, 0
		}
		id++
		placed := p.Panel
		placed.Id = cog.ToPtr(id)
		placed.GridPos = &dashboard.GridPos{X: x, Y: y, W: p.w, H: p.h}
		for ref, why := range p.empty {
			empty[target{id, ref}] = why
		}
		out = append(out, placed)
		x, high = x+p.w, max(high, p.h)
	}
	return out, y + high
}
