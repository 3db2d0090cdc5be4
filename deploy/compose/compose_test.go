// Package compose_test reads compose.yaml as text: what it names is there, and
// what it renders is where it is looked for. No container is started.
package compose_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"github.com/weirstream/weir/deploy/cli"
	"github.com/weirstream/weir/deploy/config"
	"github.com/weirstream/weir/services/shop"
)

type service struct {
	Image, Hostname, User    string
	Build                    map[string]string
	Command, Entrypoint      []string
	Profiles, Ports, Volumes []string
	Environment              map[string]string
	Ulimits                  map[string]int
	DependsOn                map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck              struct {
		Test              []string
		Interval, Timeout string
		Retries           int
	}
}

type file struct {
	Name     string
	Health   any `yaml:"x-health"`
	Services map[string]service
	Volumes  map[string]any
}

func read(t *testing.T) (f file) {
	t.Helper()
	decode(t, "compose.yaml", &f)
	return f
}

// decode reads YAML that has nothing but the fields of out.
func decode(t *testing.T, name string, out any) {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(b))
	d.KnownFields(true)
	if err := d.Decode(out); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
}

func TestWhatItNamesIsThere(t *testing.T) {
	f := read(t)
	ports, used := map[string]string{}, map[string]bool{}
	for name, s := range f.Services {
		if _, tag, _ := strings.Cut(s.Image, ":"); s.Build == nil && (tag == "" || tag == "latest") {
			t.Errorf("%s: image %q is another one every week: give it a version", name, s.Image)
		}
		for _, p := range s.Ports {
			parts := strings.Split(p, ":")
			if len(parts) != 3 || parts[0] != "127.0.0.1" {
				t.Errorf("%s: port %s is open to others", name, p)
			} else if other := ports[parts[1]]; other != "" {
				t.Errorf("%s and %s both have port %s", name, other, parts[1])
			} else {
				ports[parts[1]] = name
			}
		}
		for on, d := range s.DependsOn {
			other, ok := f.Services[on]
			if !ok || d.Condition == "service_healthy" && len(other.Healthcheck.Test) == 0 {
				t.Errorf("%s waits for %s, which never comes: %+v", name, on, d)
			}
		}
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			used[source] = true
			if _, err := os.Stat(source); strings.HasPrefix(source, ".") && err != nil {
				t.Errorf("%s: %v", name, err)
			} else if _, ok := f.Volumes[source]; !strings.HasPrefix(source, ".") && !ok {
				t.Errorf("%s: volume %s is not declared", name, source)
			}
		}
	}
	for v := range f.Volumes {
		if !used[v] {
			t.Errorf("nobody uses the volume %s", v)
		}
	}
}

// rendered runs what the services alerts, boards and template run, into a directory
// that stands for the volume.
func rendered(t *testing.T, f file) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for _, name := range []string{"alerts", "boards", "template"} {
		s := f.Services[name]
		if len(s.Entrypoint) < 2 || s.Entrypoint[0] != "/weir" || !slices.Equal(s.Volumes, []string{"rendered:/rendered"}) {
			t.Fatalf("%s renders nothing: %+v", name, s)
		}
		args := slices.Clone(s.Entrypoint[1:])
		for i := range args {
			args[i] = inVolume(args[i], dir)
		}
		var errs bytes.Buffer
		if code := (cli.App{Business: shop.Business}).Main(args, &bytes.Buffer{}, &errs); code != 0 {
			t.Fatalf("%s: exit code %d: %s", name, code, errs.String())
		}
	}
	return dir
}

func inVolume(text, dir string) string { return strings.ReplaceAll(text, "/rendered/", dir+"/") }

func TestWhatIsRenderedIsFound(t *testing.T) {
	f := read(t)
	dir := rendered(t, f)
	find := func(who, pattern string, least int) []string {
		t.Helper()
		found, err := filepath.Glob(inVolume(pattern, dir))
		if err != nil || !strings.HasPrefix(pattern, "/rendered/") || len(found) < least {
			t.Errorf("%s looks for %s, which finds %d files: %v", who, pattern, len(found), err)
		}
		if s := f.Services[who]; !slices.Contains(s.Volumes, "rendered:/rendered:ro") || len(s.DependsOn) != 1 {
			t.Errorf("%s does not wait for what is rendered: %v", who, s.DependsOn)
		}
		return found
	}
	var p struct {
		RuleFiles []string `yaml:"rule_files"`
		Alerting  struct {
			Alertmanagers []struct {
				StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
			}
		}
		Global  map[string]string
		Scrapes []struct {
			Name    string           `yaml:"job_name"`
			Consuls []map[string]any `yaml:"consul_sd_configs"`
		} `yaml:"scrape_configs"`
	}
	decode(t, "prometheus.yml", &p)
	find("prometheus", p.RuleFiles[0], 30)
	if a := p.Alerting.Alertmanagers[0].StaticConfigs[0].Targets[0]; a != "alertmanager:9093" || len(p.Scrapes) != 1 || p.Scrapes[0].Name != "weir" {
		t.Errorf("Prometheus tells %s, and scrapes %v: rules want the job weir", a, p.Scrapes)
	}
	for _, flag := range f.Services["alertmanager"].Command {
		if config, ok := strings.CutPrefix(flag, "--config.file="); ok {
			find("alertmanager", config, 1)
		}
	}
	if flags := f.Services["prometheus"].Command; !slices.Contains(flags, "--enable-feature=exemplar-storage,created-timestamp-zero-ingestion") {
		t.Errorf("Prometheus keeps no exemplars: %v", flags)
	}
	provisioning := f.Services["grafana"].Environment["GF_PATHS_PROVISIONING"]
	find("grafana", provisioning+"/datasources/weir.yaml", 1)
	find("grafana", provisioning+"/dashboards/weir.yaml", 1)
	find("grafana", "/rendered/grafana/dashboards/*.json", 5)
	index := f.Services["index"]
	at := slices.IndexFunc(index.Entrypoint, func(arg string) bool { return strings.HasPrefix(arg, "@/rendered/") })
	if at < 0 || index.DependsOn["template"].Condition != "service_completed_successfully" {
		t.Fatalf("nobody gives the template to Elasticsearch: %+v", index)
	}
	if text, err := os.ReadFile(inVolume(index.Entrypoint[at][1:], dir)); err != nil || !bytes.Contains(text, []byte("trace.id")) && !bytes.Contains(text, []byte(`"trace"`)) {
		t.Errorf("the template is %.100s, %v", text, err)
	}
}

// What weir logs, Filebeat reads.
func TestTheLogsAreCarried(t *testing.T) {
	f := read(t)
	weir, carrier := f.Services["weir"], f.Services["filebeat"]
	var shipper struct {
		Inputs []struct{ Paths []string } `yaml:"filebeat.inputs"`
	}
	text, err := os.ReadFile("../shipper/filebeat.yml")
	if err == nil {
		err = yaml.Unmarshal(text, &shipper)
	}
	if err != nil || len(shipper.Inputs) != 1 {
		t.Fatal(err, shipper)
	}
	written := strings.Replace(weir.Environment["WEIR_LOGS_FILE"], "/logs/", "/var/log/weir/", 1)
	if ok, err := filepath.Match(shipper.Inputs[0].Paths[0], written); !ok || err != nil || weir.Environment["WEIR_LOGS_FORMAT"] != "ecs" ||
		!slices.Contains(weir.Volumes, "logs:/logs") || !slices.Contains(carrier.Volumes, "logs:/var/log/weir:ro") {
		t.Errorf("weir writes %s (%v), Filebeat reads %v (%v)", weir.Environment["WEIR_LOGS_FILE"], weir.Volumes, shipper.Inputs, carrier.Volumes)
	}
}

// The business finds the servers by names of other services.
func TestTheBusinessIsConfigured(t *testing.T) {
	f := read(t)
	t.Chdir(t.TempDir()) // where no weir.yaml is
	for name, value := range f.Services["weir"].Environment {
		if !config.Reads(name) {
			t.Errorf("weir has no variable %s", name)
		}
		t.Setenv(name, value)
	}
	c, err := config.Load("")
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{c.Kafka.Brokers[0], c.Postgres.URL.Reveal(), c.RabbitMQ.URL.Reveal(), c.Mongo.URL.Reveal(), c.Redis.URL.Reveal(), c.Consul.URL.Reveal(),
		"//" + c.Consul.Advertise + ":", c.OTLP.Endpoint, c.Prometheus.URL.Reveal(), c.ClickHouse.URL.Reveal(), c.Outside["provider"].Reveal(), c.Outside["carrier"].Reveal(), c.Outside["mailbox"].Reveal()} {
		_, host, found := strings.Cut(address, "//")
		if !found {
			host = address
		}
		host = host[strings.Index(host, "@")+1:]
		host, _, _ = strings.Cut(host, ":")
		host, _, _ = strings.Cut(host, "/")
		if _, ok := f.Services[host]; !ok {
			t.Errorf("%s names no service, but %q", address, host)
		}
	}
}
