package dashboards

import (
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func TestProvisioningFiles(t *testing.T) {
	files, err := Files(business(t), Servers{"http://prom:9090", "http://jaeger:16686", "http://search:9200"}, "/etc/weir/dashboards")
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
	known := map[string]string{Prometheus: "http://prom:9090", Jaeger: "http://jaeger:16686", Elasticsearch: "http://search:9200"}
	for _, d := range sources.Datasources {
		if d.UID != d.Name || d.Type != d.UID || d.URL != known[d.UID] {
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

// The links of a board come out as addresses that Explore reads.
func TestExploreLinks(t *testing.T) {
	got := explore(Jaeger, `{"refId":"A","query":"${trace}"}`)
	if strings.ContainsAny(got, `"[] `) || !strings.Contains(got, "%22query%22%3A%22${trace}%22") || !strings.Contains(got, "%22from%22%3A%22${__from}%22") {
		t.Errorf("the link is %s", got)
	}
}
