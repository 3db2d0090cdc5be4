package cli

import (
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree is all files below a directory, by their paths in it.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join(dir, path))
		out[path] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestDashboardsRender(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "grafana")
	run(t, 0, "dashboards", "render", "--out", dir, "--prometheus", "http://prom:1", "--live", "http://weir.example")
	first := tree(t, dir)
	if !strings.Contains(first["provisioning/datasources/weir.yaml"], "http://prom:1") || !strings.Contains(first["provisioning/dashboards/weir.yaml"], "path: "+filepath.Join(dir, "dashboards")) ||
		!strings.Contains(first["dashboards/weir-overview.json"], "http://weir.example") {
		t.Errorf("the files do not say what they were told to: %v", first["provisioning/dashboards/weir.yaml"])
	}
	run(t, 0, "dashboards", "render", "--out", dir, "--alerts")
	if _, is := tree(t, dir)["provisioning/alerting/weir.yaml"]; !is {
		t.Error("no alerts with --alerts")
	}
	kept := filepath.Join(dir, "dashboards", "weir-of-others.json")
	if err := os.WriteFile(kept, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	run(t, 0, "dashboards", "render", "--out", dir, "--prometheus", "http://prom:1", "--live", "http://weir.example")
	second := tree(t, dir)
	if _, is := second["provisioning/alerting/weir.yaml"]; is {
		t.Error("what is not rendered any more stays")
	}
	if _, is := second["dashboards/weir-of-others.json"]; !is {
		t.Error("somebody else's file was removed")
	}
	for name, text := range first {
		if second[name] != text {
			t.Errorf("%s differs from one time to the next", name)
		}
	}
	run(t, 2, "dashboards", "render")
}

func TestDashboardsLint(t *testing.T) {
	if said := run(t, 0, "dashboards", "lint"); !strings.Contains(said, "are sound") {
		t.Error(said)
	}
}

func TestDashboardsPush(t *testing.T) {
	const token = "glsa_of_the_test"
	grafana := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+token:
			w.WriteHeader(401)
			w.Write([]byte(`{"message":"Unauthorized"}`))
		case r.Method == http.MethodGet:
			w.WriteHeader(404)
		default:
			w.Write([]byte(`{"url":"/d/x","version":1}`))
		}
	}))
	defer grafana.Close()
	t.Setenv(grafanaToken, token)
	said := run(t, 0, "dashboards", "push", "--grafana", grafana.URL)
	if !strings.Contains(said, "created") || !strings.Contains(said, "weir-overview") || strings.Contains(said, token) {
		t.Error(said)
	}
	t.Setenv(grafanaToken, "glsa_wrong")
	if said := run(t, 1, "dashboards", "push", "--grafana", grafana.URL); !strings.Contains(said, "role Editor") || strings.Contains(said, "glsa_") {
		t.Error(said)
	}
	t.Setenv(grafanaToken, "")
	if said := run(t, 1, "dashboards", "push", "--grafana", grafana.URL); !strings.Contains(said, grafanaToken+" is empty") {
		t.Error(said)
	}
	grafana.Close()
	if said := run(t, 3, "dashboards", "push", "--grafana", grafana.URL); !strings.Contains(said, "Is Grafana running there?") {
		t.Error(said)
	}
	run(t, 2, "dashboards", "push")
	run(t, 2, "dashboards", "push", "--grafana", grafana.URL, "-o", "xml")
}
