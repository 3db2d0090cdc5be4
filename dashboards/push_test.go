package dashboards

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
)

// Every role and release that may push does so, once: what is there is left alone,
// however Grafana gives it back, and what somebody changed or moved is put right.
func TestPush(t *testing.T) {
	for _, release := range []int{9, 13} {
		for _, role := range []string{editor, admin} {
			t.Run(fmt.Sprintf("Grafana %d, %s", release, role), func(t *testing.T) { pushes(t, release, role) })
		}
	}
}

func pushes(t *testing.T, release int, role string) {
	w, g := newGrafanaWire(t, release)
	g.Token = role
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
	if w.folders[Folder] != FolderTitle || len(w.messages) != len(all) || !strings.HasPrefix(w.messages[0], "the reason (") {
		t.Errorf("folders %v, messages %v", w.folders, w.messages)
	}
	did("unchanged")
	if len(w.messages) != len(all) {
		t.Error("what had not changed was saved again")
	}
	first := all[0].ID()
	for version, change := range []func(map[string]any){
		func(b map[string]any) { b["title"] = "Changed by hand" },
		func(b map[string]any) { b["panels"] = b["panels"].([]any)[1:] },
		func(b map[string]any) { b["links"] = append(b["links"].([]any), map[string]any{"title": "More"}) },
		func(b map[string]any) { b["refresh"] = nil },
	} {
		w.byHand(first, change)
		did("updated", "unchanged")
		if got := w.boards[first]; got["title"] != *all[0].Title || got["version"] != float64(3+2*version) {
			t.Errorf("after an update there is version %v of %v", got["version"], got["title"])
		}
	}
	w.hides[first] = true
	did("updated", "unchanged")
	w.hides[first] = false
	w.folderOf[first] = "elsewhere" // moved by hand
	did("updated", "unchanged")
	if w.folderOf[first] != Folder {
		t.Error("a board that was moved stays where it is")
	}
}

// A folder that another push makes at the same time is as good.
func TestPushIntoAFolderMadeMeanwhile(t *testing.T) {
	for _, release := range []int{9, 13} {
		w, g := newGrafanaWire(t, release)
		w.folders[Folder] = FolderTitle
		if status, err := g.call(t.Context(), "POST", "/api/folders", map[string]string{"uid": Folder, "title": FolderTitle}, nil); err == nil || status != map[int]int{9: 409, 13: 412}[release] {
			t.Fatalf("Grafana %d makes a folder twice: %d %v", release, status, err)
		}
		delete(w.folders, Folder)
		w.folders["other"] = FolderTitle
		if changes, err := g.Push(t.Context(), boards(t), ""); release < 13 && (err == nil || !strings.Contains(err.Error(), "another folder of the title Weir") || len(changes) > 0) {
			t.Errorf("pushed beside a folder that has the title: %v, %v", changes, err)
		} else if release >= 13 && err != nil {
			t.Error(err)
		}
	}
}

func TestPushIsRefused(t *testing.T) {
	all := boards(t)
	refused := func(g Grafana, away bool, want string) {
		t.Helper()
		_, err := g.Push(t.Context(), all, "")
		var unreachable Unreachable
		if err == nil || !strings.Contains(err.Error(), want) || errors.As(err, &unreachable) != away {
			t.Errorf("want an error with %q, out of reach %t, got %v", want, away, err)
		}
		if err != nil && (strings.Contains(err.Error(), "glsa_") || strings.Contains(err.Error(), "pass-word")) {
			t.Errorf("the error tells a secret: %v", err)
		}
	}
	w, g := newGrafanaWire(t, 13)
	for token, want := range map[string]string{"": "service account with the role Editor", "glsa_unknown": "missing, wrong or expired", viewer: "Give it the role Editor"} {
		refused(Grafana{g.URL, token}, false, want)
	}
	w.fixed[all[0].ID()] = true
	refused(g, false, "Grafana reads the board from files")
	w.fixed[all[0].ID()] = false
	w.boards["by-hand"], w.folderOf["by-hand"] = map[string]any{"title": *all[0].Title}, Folder
	refused(g, false, "another board of the same title")
	w.broken = "<html>some other server</html>"
	refused(g, false, "Is it a Grafana?")
	for _, w.status = range []int{429, 500, 502, 503, 504} {
		refused(g, true, fmt.Sprint(w.status))
	}
	refused(Grafana{"127.0.0.1:3000", editor}, false, "must be like http://")
	refused(Grafana{"http://admin:pass-word@" + closedPort(t), editor}, true, "Is Grafana running there?")
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// What was done before an error is told.
func TestPushTellsHowFarItCame(t *testing.T) {
	w, g := newGrafanaWire(t, 9)
	all := boards(t)
	w.fixed[all[2].ID()] = true
	changes, err := g.Push(t.Context(), all, "")
	if err == nil || !strings.Contains(err.Error(), all[2].ID()) || len(changes) != 2 {
		t.Errorf("%d changes before %v", len(changes), err)
	}
}
