package sqlite

import (
	"database/sql"
	"fmt"
	"strconv"
	"strings"

	"github.com/weirstream/weir/processors/projection"
	"github.com/weirstream/weir/processors/projection/sqlitefile"
	"github.com/weirstream/weir/streams/business"
)

// cure is that of a file that this program cannot go on with.
const cure = "remove the file, and the read model is built again from the event stores and the log"

// view is a declared view with its statements.
type view struct {
	*business.View
	columns  []projection.Column
	document string // selects what a document is made of
}

// declare prepares what follows from the views.
func (s *Store) declare(views []*business.View) {
	s.views, s.first = map[string]*view{}, map[string]*view{}
	for _, v := range views {
		x := &view{View: v, columns: projection.Columns(v)}
		names := []string{"key", "begun", "saga", "state"}
		for _, c := range x.columns {
			names = append(names, c.Name)
		}
		x.document = "SELECT " + strings.Join(names, ", ") + " FROM " + projection.Table(v)
		s.views[v.Name] = x
	}
	kinds, of := projection.HistoryKinds(views)
	columns := append(make([]string, 0, len(entryColumns)+len(kinds)), entryColumns...)
	for _, k := range kinds {
		s.first[k] = s.views[of[k].Name]
		columns = append(columns, about(k))
	}
	s.kinds = kinds
	s.entries = "SELECT " + strings.Join(entryColumns, ", ") + " FROM history"
	s.history = "INSERT INTO history (" + strings.Join(columns, ", ") + ") VALUES (?" + strings.Repeat(", ?",
		len(columns)-1) + ")"
}

// of finds what was declared for a view.
func (s *Store) of(name string) (*view, error) {
	if v := s.views[name]; v != nil {
		return v, nil
	}
	return nil, fmt.Errorf("the read model was opened without view %s: open it with the views of its business", name)
}

// about is the column of history for the keys of a kind.
func about(kind string) string { return strconv.Quote("about_" + kind) }

// tables makes what the views need.
func tables(views []*business.View) string {
	var b strings.Builder
	kinds, _ := projection.HistoryKinds(views)
	for _, k := range kinds {
		fmt.Fprintf(&b, "ALTER TABLE history ADD COLUMN %s TEXT NOT NULL DEFAULT '';\n", about(k))
		fmt.Fprintf(&b, "CREATE INDEX %s ON history (%s, time) WHERE %s <> '';\n", strconv.Quote("history_about_"+k),
			about(k), about(k))
	}
	for _, v := range views {
		table(&b, v)
	}
	return b.String()
}

// table makes that of a view. A document has begun if begun is not NULL: what comes
// later may be read before.
func table(b *strings.Builder, v *business.View) {
	name := projection.Table(v)
	fmt.Fprintf(b, "CREATE TABLE %s (key TEXT PRIMARY KEY, begun INTEGER, saga TEXT NOT NULL DEFAULT ''", name)
	for _, c := range projection.Columns(v) {
		if c.Text {
			fmt.Fprintf(b, ", %s TEXT NOT NULL DEFAULT ''", c.Name)
		} else {
			fmt.Fprintf(b, ", %s INTEGER NOT NULL DEFAULT 0", c.Name)
		}
	}
	state := "''"
	states, columns := projection.StateColumns(v)
	for i, s := range states {
		state = fmt.Sprintf("iif(%s <> 0, '%s', %s)", columns[i], s, state) // the last one is asked first
	}
	fmt.Fprintf(b, ", state TEXT NOT NULL AS (%s) VIRTUAL) STRICT;\n", state)
	sort := projection.SortColumn(v)
	fmt.Fprintf(b, "CREATE INDEX \"%s.sort\" ON %s (%s, key);\n", name, name, sort)
	for i, column := range projection.Filters(v) {
		fmt.Fprintf(b, "CREATE INDEX \"%s.by%d\" ON %s (%s, %s, key);\n", name, i, name, column, sort)
	}
}

// sameViews refuses a file that was made for other views.
func sameViews(db *sql.DB, views []*business.View) error {
	var had string
	if err := db.QueryRow(`SELECT views FROM declared`).Scan(&had); err != nil {
		return sqlitefile.Failed("the views of the file cannot be read", err)
	}
	if has := projection.Fingerprint(views); had != has {
		return fmt.Errorf("the file was made for other views (%s) than this program declares (%s): %s", had, has, cure)
	}
	return nil
}
