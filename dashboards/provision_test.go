package dashboards

import (
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"go.yaml.in/yaml/v3"
)

func TestProvisioningFiles(t *testing.T) {
	files, err := Files(ofShop(t), Servers{"http://prom:9090", "http://jaeger:16686", "http://search:9200", "https://tables/weir"},
		"/etc/weir/dashboards", false)
	if err != nil {
		t.Fatal(err)
	}
	if want := len(boards(t)) + 2; len(files) != want {
		t.Errorf("%d files, want %d", len(files), want)
	}
	var sources struct {
		APIVersion  int `yaml:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, URL string
			JSONData             map[string]any `yaml:"jsonData"`
		}
	}
	raw := files["provisioning/datasources/weir.yaml"]
	if err := yaml.Unmarshal(raw, &sources); err != nil || sources.APIVersion != 1 {
		t.Fatal(err, sources.APIVersion)
	}
	known := map[string]string{Prometheus: "http://prom:9090", Jaeger: "http://jaeger:16686", Elasticsearch: "http://search:9200", ClickHouse: "https://tables/weir"}
	for _, d := range sources.Datasources {
		if d.UID == ClickHouse && (d.JSONData["host"] != "tables" || d.JSONData["port"] != 8443 || d.JSONData["defaultDatabase"] != "weir") {
			t.Errorf("ClickHouse is %v", d.JSONData)
		}
		if d.UID != d.Name || d.Type != map[string]string{ClickHouse: clickHousePlugin}[d.UID] && d.Type != d.UID || d.URL != known[d.UID] {
			t.Errorf("datasource %+v", d)
		}
		delete(known, d.UID)
	}
	if len(known) > 0 {
		t.Errorf("no datasources %v", known)
	}
	// From a point of a graph to its trace, from the trace to its lines, and back.
	for _, want := range []string{"name: trace_id", "datasourceUid: jaeger", "datasourceUid: elasticsearch", "http://127.0.0.1:8080/traces/$${__value.raw}", `trace.id:"$${__trace.traceId}"`} {
		if !strings.Contains(string(raw), want) {
			t.Errorf("the datasources lack %s", want)
		}
	}
	if n := strings.Count(strings.ReplaceAll(string(raw), "$$", ""), "$"); n > 0 {
		t.Errorf("%d single dollars: Grafana would take them for its environment", n)
	}
	var providers struct {
		Providers []struct {
			Folder    string
			FolderUID string `yaml:"folderUid"`
			Options   struct{ Path string }
		}
	}
	if err := yaml.Unmarshal(files["provisioning/dashboards/weir.yaml"], &providers); err != nil || len(providers.Providers) != 1 {
		t.Fatal(err, providers)
	}
	if p := providers.Providers[0]; p.Options.Path != "/etc/weir/dashboards" || p.FolderUID != Folder || p.Folder != FolderTitle {
		t.Errorf("provider %+v", p)
	}
}

// Grafana has every alert once, under a name and a uid of its own, and what it
// says is written in Grafana's words.
func TestGrafanaEvaluatesEveryAlert(t *testing.T) {
	b := ofShop(t)
	files, err := Files(b, Servers{}, "/etc/weir/dashboards", true)
	if err != nil {
		t.Fatal(err)
	}
	raw := files["provisioning/alerting/weir.yaml"]
	var rendered struct {
		Groups []struct {
			Name, Folder, Interval string
			Rules                  []struct {
				UID, Title, Condition, For string
				Labels, Annotations        map[string]string
				Data                       []struct {
					RefID         string `yaml:"refId"`
					DatasourceUID string `yaml:"datasourceUid"`
					Model         map[string]any
				}
			}
		}
	}
	if err := yaml.Unmarshal(raw, &rendered); err != nil {
		t.Fatal(err)
	}
	groups, err := b.Alerts.Groups()
	if err != nil {
		t.Fatal(err)
	}
	left := map[string]int{}
	for _, g := range groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				left[r.Expr+r.Labels["severity"]]++
			}
		}
	}
	seen := map[string]bool{}
	for _, g := range rendered.Groups {
		if every, err := model.ParseDuration(g.Interval); err != nil || every == 0 || time.Duration(every)%(10*time.Second) != 0 {
			t.Errorf("%s is evaluated every %q: Grafana wants a multiple of 10 s", g.Name, g.Interval)
		}
		for _, r := range g.Rules {
			if seen[r.UID] || seen[r.Title] || len(r.UID) > 40 || g.Folder != FolderTitle+" alerts" || g.Interval == "" {
				t.Errorf("%s (%s) is there twice, or nowhere, or where the boards are", r.Title, r.UID)
			}
			if _, err := model.ParseDuration(r.For); err != nil { // as Grafana does, at its start
				t.Errorf("%s waits for %q: %v", r.Title, r.For, err)
			}
			seen[r.UID], seen[r.Title] = true, true
			query, condition := r.Data[0], r.Data[1]
			if query.DatasourceUID != Prometheus || condition.DatasourceUID != "__expr__" || r.Condition != condition.RefID || !strings.Contains(condition.Model["expression"].(string), "$"+query.RefID) {
				t.Errorf("%s asks %+v", r.Title, r.Data)
			}
			left[query.Model["expr"].(string)+r.Labels["severity"]]--
			for k, v := range r.Annotations {
				if strings.Contains(v, "$") || strings.Contains(v, "{{") && !strings.Contains(v, "{{ .Labels.") && !strings.Contains(v, "{{ .Values.A.Value") {
					t.Errorf("%s: %s is %s", r.Title, k, v)
				}
			}
		}
	}
	for expr, n := range left {
		if n != 0 {
			t.Errorf("%d alerts too few for %s", n, expr)
		}
	}
}

// The links of a board come out as addresses that Explore reads.
func TestExploreLinks(t *testing.T) {
	got := explore(Elasticsearch, lines(`trace.id:${__value.raw}`))
	if strings.ContainsAny(got, `"[] `) || !strings.Contains(got, "%22query%22%3A%22trace.id%3A${__value.raw}%22") || !strings.Contains(got, "%22from%22%3A%22${__from}%22") {
		t.Errorf("the link is %s", got)
	}
}
