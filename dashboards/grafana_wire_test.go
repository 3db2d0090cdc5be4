package dashboards

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// grafanaWire answers as Grafana's HTTP API does in releases 9 and 13 (pkg/api and
// the documentation of either): folders and boards by uid, a version that a save
// without overwrite must name, titles that are unique in a folder, statuses by the
// role of who asks, and boards that are brought to a newer schema when they are read.
type grafanaWire struct {
	mu       sync.Mutex
	release  int
	folders  map[string]string // titles by uid
	boards   map[string]map[string]any
	folderOf map[string]string
	history  map[string][]map[string]any
	messages []string
	asked    []string
	broken   string          // a body to answer everything with
	status   int             // an answer without sense, of what stands before Grafana
	fixed    map[string]bool // boards that are read from files
	hides    map[string]bool // boards that may be written and not read
}

// Tokens of service accounts, by their role.
const (
	admin  = "glsa_of_an_admin"
	editor = "glsa_of_an_editor"
	viewer = "glsa_of_a_viewer"
)

func newGrafanaWire(t *testing.T, release int) (*grafanaWire, Grafana) {
	w := &grafanaWire{release: release, folders: map[string]string{}, boards: map[string]map[string]any{}, folderOf: map[string]string{},
		history: map[string][]map[string]any{}, fixed: map[string]bool{}, hides: map[string]bool{}}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	return w, Grafana{URL: s.URL + "/", Token: editor}
}

// answers of one request.
type answers struct{ http.ResponseWriter }

func (a answers) say(status int, v any) {
	a.Header().Set("Content-Type", "application/json")
	a.WriteHeader(status)
	json.NewEncoder(a).Encode(v)
}

func (a answers) refuse(status int, message, why string) {
	a.say(status, map[string]string{"message": message, "status": why})
}

// denied is what access control says, and all that it says.
func (a answers) denied(need string) {
	a.say(403, map[string]string{"accessErrorId": "ACE0000000001", "title": "Access denied",
		"message": "You'll need additional permissions to perform this action. Permissions needed: " + need})
}

func (w *grafanaWire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r.Method+" "+r.URL.Path)
	a := answers{rw}
	role := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch path := r.URL.Path; {
	case w.status != 0:
		rw.WriteHeader(w.status)
	case w.broken != "":
		rw.Write([]byte(w.broken))
	case role != admin && role != editor && role != viewer:
		a.refuse(401, "Invalid API key", "")
	case r.Method == http.MethodPost && path == "/api/folders":
		w.newFolder(a, r, role)
	case r.Method == http.MethodPost && path == "/api/dashboards/db":
		w.save(a, r, role)
	case r.Method != http.MethodGet:
		a.refuse(404, "Not found", "")
	case strings.HasPrefix(path, "/api/folders/"):
		w.folder(a, strings.TrimPrefix(path, "/api/folders/"), role)
	case strings.HasSuffix(path, "/versions"):
		w.versions(a, strings.TrimSuffix(strings.TrimPrefix(path, "/api/dashboards/uid/"), "/versions"), role)
	case strings.HasPrefix(path, "/api/dashboards/uid/"):
		w.board(a, strings.TrimPrefix(path, "/api/dashboards/uid/"), role)
	default:
		a.refuse(404, "Not found", "")
	}
}

// folder asks access control first: it knows permissions on folders that there
// are, and who is not an administrator has none on another.
func (w *grafanaWire) folder(a answers, uid, role string) {
	switch title := w.folders[uid]; {
	case title == "" && role != admin:
		a.denied("folders:read")
	case title == "":
		a.refuse(404, "folder not found", "not-found")
	default:
		a.say(200, map[string]any{"id": 1, "uid": uid, "title": title, "canSave": role != viewer, "version": 1})
	}
}

func (w *grafanaWire) newFolder(a answers, r *http.Request, role string) {
	var in struct{ UID, Title string }
	json.NewDecoder(r.Body).Decode(&in)
	if role == viewer {
		a.denied("folders:create")
		return
	}
	for uid, title := range w.folders {
		if uid == in.UID && w.release >= 13 {
			a.refuse(412, "the folder has been changed by someone else", "version-mismatch")
			return
		}
		if uid == in.UID || title == in.Title && w.release < 13 {
			a.refuse(409, "a folder with the same name already exists in the current location", "")
			return
		}
	}
	w.folders[in.UID] = in.Title
	a.say(200, map[string]any{"id": 1, "uid": in.UID, "title": in.Title, "version": 1})
}

func (w *grafanaWire) board(a answers, uid, role string) {
	board := w.boards[uid]
	if w.hides[uid] || board == nil && w.release >= 13 && role != admin {
		a.denied("dashboards:read") // a permission on what there is not, as of folders
		return
	}
	if board == nil {
		a.refuse(404, "Dashboard not found", "not-found")
		return
	}
	a.say(200, map[string]any{"dashboard": w.read(board),
		"meta": map[string]any{"url": "/d/" + uid, "folderUid": w.folderOf[uid], "version": board["version"], "provisioned": w.fixed[uid]}})
}

// read is a board as it is given back: with what Grafana adds to every one, and from
// release 12 on in its own schema, in which things have other places.
func (w *grafanaWire) read(board map[string]any) any {
	raw, err := json.Marshal(board)
	if err != nil {
		panic(err)
	}
	var out map[string]any
	if err := json.Unmarshal(raw, &out); err != nil {
		panic(err)
	}
	out["timezone"], out["weekStart"], out["fiscalYearStartMonth"] = "browser", "", 0.0
	if w.release < 12 {
		return out
	}
	out["schemaVersion"] = 42.0
	for _, p := range out["panels"].([]any) {
		p := p.(map[string]any)
		p["pluginVersion"] = "13.0.0"
		delete(p, "transparent")
		config, _ := p["fieldConfig"].(map[string]any)
		overrides, _ := config["overrides"].([]any)
		for _, o := range overrides { // as a table's cells, from schema 38 on
			for _, property := range o.(map[string]any)["properties"].([]any) {
				if property := property.(map[string]any); property["id"] == "custom.displayMode" {
					property["id"], property["value"] = "custom.cellOptions", map[string]any{"type": property["value"]}
				}
			}
		}
	}
	return out
}

func (w *grafanaWire) versions(a answers, uid, role string) {
	newest := w.history[uid]
	switch {
	case role == viewer:
		a.denied("dashboards:write")
	case w.release >= 11:
		a.say(200, map[string]any{"continueToken": "", "versions": newest})
	default:
		a.say(200, newest)
	}
}

func (w *grafanaWire) save(a answers, r *http.Request, role string) {
	var in struct {
		Dashboard          map[string]any
		FolderUID, Message string
		Overwrite          bool
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Dashboard["title"] == nil {
		a.refuse(400, "bad request data", "")
		return
	}
	uid, _ := in.Dashboard["uid"].(string)
	switch {
	case role == viewer:
		a.denied("dashboards:create")
		return
	case w.folders[in.FolderUID] == "":
		a.refuse(400, "folder not found", "")
		return
	case w.fixed[uid]:
		a.refuse(400, "Cannot save provisioned dashboard", "")
		return
	}
	for other, b := range w.boards {
		if other != uid && b["title"] == in.Dashboard["title"] && w.folderOf[other] == in.FolderUID {
			a.refuse(412, "A dashboard with the same name in the folder already exists", "name-exists")
			return
		}
	}
	if old := w.boards[uid]; old != nil && !in.Overwrite && in.Dashboard["version"] != old["version"] {
		a.refuse(412, "The dashboard has been changed by someone else", "version-mismatch")
		return
	}
	a.say(200, map[string]any{"uid": uid, "url": "/d/" + uid + "/x", "status": "success", "version": w.keep(uid, in.Dashboard, in.FolderUID, in.Message)})
}

// keep stores a board as its next version.
func (w *grafanaWire) keep(uid string, board map[string]any, folder, message string) float64 {
	version := 1.0
	if old := w.boards[uid]; old != nil {
		version = old["version"].(float64) + 1
	}
	board["version"], board["id"] = version, 7.0
	w.boards[uid], w.folderOf[uid] = board, folder
	w.messages = append(w.messages, message)
	w.history[uid] = append([]map[string]any{{"id": version, "uid": uid, "version": version, "message": message, "createdBy": "sa-weir"}}, w.history[uid]...)
	return version
}

// byHand is somebody who changes a board in his browser.
func (w *grafanaWire) byHand(uid string, change func(board map[string]any)) {
	raw, err := json.Marshal(w.boards[uid])
	if err != nil {
		panic(err)
	}
	var board map[string]any
	if err := json.Unmarshal(raw, &board); err != nil {
		panic(err)
	}
	change(board)
	w.keep(uid, board, w.folderOf[uid], fmt.Sprintf("by hand, %d", len(w.messages)))
}
