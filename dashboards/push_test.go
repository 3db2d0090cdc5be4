package dashboards

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

// grafanaWire answers as Grafana's HTTP API is documented to: folders and boards
// by uid, a version that a save without overwrite must name, titles that are
// unique in a folder, 401 without the token and 403 for one that only reads.
type grafanaWire struct {
	mu       sync.Mutex
	folders  map[string]string
	boards   map[string]map[string]any
	folderOf map[string]string
	messages []string
	asked    []string
	broken   string // a body to answer everything with
	fixed    map[string]bool
}

const (
	writes = "glsa_writes_everything"
	reads  = "glsa_reads_only"
)

func newGrafanaWire(t *testing.T) (*grafanaWire, Grafana) {
	w := &grafanaWire{folders: map[string]string{}, boards: map[string]map[string]any{}, folderOf: map[string]string{}, fixed: map[string]bool{}}
	s := httptest.NewServer(w)
	t.Cleanup(s.Close)
	return w, Grafana{URL: s.URL + "/", Token: writes}
}

func (w *grafanaWire) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.asked = append(w.asked, r.Method+" "+r.URL.Path)
	say := func(status int, v any) {
		rw.Header().Set("Content-Type", "application/json")
		rw.WriteHeader(status)
		json.NewEncoder(rw).Encode(v)
	}
	refuse := func(status int, message, why string) {
		say(status, map[string]string{"message": message, "status": why})
	}
	token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
	switch uid := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]; {
	case w.broken != "":
		rw.Write([]byte(w.broken))
	case token != writes && token != reads:
		refuse(401, "Invalid API key", "")
	case r.Method == http.MethodPost && token == reads:
		refuse(403, "You'll need additional permissions", "")
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/api/folders/"):
		if w.folders[uid] == "" {
			refuse(404, "folder not found", "not-found")
			return
		}
		say(200, map[string]any{"uid": uid, "title": w.folders[uid]})
	case r.Method == http.MethodPost && r.URL.Path == "/api/folders":
		var in struct{ UID, Title string }
		json.NewDecoder(r.Body).Decode(&in)
		w.folders[in.UID] = in.Title
		say(200, in)
	case r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/api/dashboards/uid/"):
		if w.boards[uid] == nil {
			refuse(404, "Dashboard not found", "not-found")
			return
		}
		say(200, map[string]any{"dashboard": w.boards[uid], "meta": map[string]any{"url": "/d/" + uid, "folderUid": w.folderOf[uid], "version": w.boards[uid]["version"]}})
	case r.Method == http.MethodPost && r.URL.Path == "/api/dashboards/db":
		w.save(r, say, refuse)
	default:
		refuse(404, "Not found", "")
	}
}

func (w *grafanaWire) save(r *http.Request, say func(int, any), refuse func(int, string, string)) {
	var in struct {
		Dashboard          map[string]any
		FolderUID, Message string
		Overwrite          bool
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || in.Dashboard["title"] == nil {
		refuse(400, "bad request data", "")
		return
	}
	uid, _ := in.Dashboard["uid"].(string)
	if w.folders[in.FolderUID] == "" {
		refuse(400, "folder not found", "")
		return
	}
	if w.fixed[uid] {
		refuse(400, "Cannot save provisioned dashboard", "")
		return
	}
	for other, b := range w.boards {
		if other != uid && b["title"] == in.Dashboard["title"] && w.folderOf[other] == in.FolderUID {
			refuse(412, "A dashboard with the same name in the folder already exists", "name-exists")
			return
		}
	}
	version := 1.0
	if old := w.boards[uid]; old != nil {
		if !in.Overwrite && in.Dashboard["version"] != old["version"] {
			refuse(412, "The dashboard has been changed by someone else", "version-mismatch")
			return
		}
		version = old["version"].(float64) + 1
	}
	in.Dashboard["version"], in.Dashboard["id"] = version, 7.0
	w.boards[uid], w.folderOf[uid] = in.Dashboard, in.FolderUID
	w.messages = append(w.messages, in.Message)
	say(200, map[string]any{"uid": uid, "url": "/d/" + uid + "/x", "status": "success", "version": version})
}

func TestPush(t *testing.T) {
	w, g := newGrafanaWire(t)
	all := boards(t)
	did := func(want ...string) {
		t.Helper()
		changes, err := g.Push(t.Context(), all, "the reason")
		if err != nil {
			t.Fatal(err)
		}
		if len(changes) != len(all) {
			t.Fatalf("%d changes of %d boards", len(changes), len(all))
		}
		for i, c := range changes {
			if what := want[min(i, len(want)-1)]; c.What != what || c.Version == 0 || !strings.HasPrefix(c.URL, "/d/"+c.Board) {
				t.Errorf("%+v, want it %s", c, what)
			}
		}
	}
	did("created")
	if w.folders[Folder] != FolderTitle || len(w.messages) != len(all) || w.messages[0] != "the reason" {
		t.Errorf("folders %v, messages %v", w.folders, w.messages)
	}
	did("unchanged")
	if len(w.messages) != len(all) {
		t.Error("what had not changed was saved again")
	}
	w.boards[all[0].ID()]["title"] = "Changed by hand"
	did("updated", "unchanged")
	if w.boards[all[0].ID()]["title"] != *all[0].Title || w.boards[all[0].ID()]["version"] != 2.0 {
		t.Errorf("after an update there is version %v of %v", w.boards[all[0].ID()]["version"], w.boards[all[0].ID()]["title"])
	}
	w.folderOf[all[0].ID()] = "elsewhere" // moved by hand
	did("updated", "unchanged")
	if w.folderOf[all[0].ID()] != Folder {
		t.Error("a board that was moved stays where it is")
	}
}

func TestPushIsRefused(t *testing.T) {
	all := boards(t)
	refused := func(g Grafana, want string) {
		t.Helper()
		_, err := g.Push(t.Context(), all, "")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want an error with %q, got %v", want, err)
		}
		if err != nil && (strings.Contains(err.Error(), "glsa_") || strings.Contains(err.Error(), "pass-word")) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	w, g := newGrafanaWire(t)
	for token, want := range map[string]string{"": "service account with the role Editor", "glsa_unknown": "missing, wrong or expired", reads: "Give it the role Editor"} {
		refused(Grafana{g.URL, token}, want)
	}
	w.fixed[all[0].ID()] = true
	refused(g, "Grafana reads the board from files")
	w.fixed[all[0].ID()] = false
	w.boards["by-hand"], w.folderOf["by-hand"] = map[string]any{"title": *all[0].Title}, Folder
	refused(g, "another board of the same title")
	w.broken = "<html>some other server</html>"
	refused(g, "Is it a Grafana?")
	refused(Grafana{"127.0.0.1:3000", writes}, "must be like http://")
	refused(Grafana{"http://admin:pass-word@127.0.0.1:1", writes}, "Is Grafana running there?")
}

// What was done before an error is told.
func TestPushTellsHowFarItCame(t *testing.T) {
	w, g := newGrafanaWire(t)
	all := boards(t)
	w.fixed[all[2].ID()] = true
	changes, err := g.Push(t.Context(), all, "")
	if err == nil || !strings.Contains(err.Error(), all[2].ID()) || len(changes) != 2 {
		t.Errorf("%d changes before %v", len(changes), err)
	}
}
