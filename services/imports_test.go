package services_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/weirstream/weir/"

// pkg is what go list tells about a package of this module.
type pkg struct {
	ImportPath, Dir                    string
	GoFiles, TestGoFiles, XTestGoFiles []string
	Imports                            []string
	path                               string // below the module, "" for main
}

func packages(t *testing.T) (out []pkg) {
	t.Helper()
	list := exec.CommandContext(t.Context(), "go", "list", "-e", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports", "./...")
	list.Dir, list.Stderr = "..", os.Stderr
	b, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for in := json.NewDecoder(bytes.NewReader(b)); ; {
		var p pkg
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		p.path = strings.TrimPrefix(p.ImportPath+"/", module)
		p.path = strings.TrimSuffix(p.path, "/")
		out = append(out, p)
	}
}

func under(path string, folders ...string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return path == f || strings.HasPrefix(path, f+"/") })
}

// folder is the first n elements of a path.
func folder(path string, n int) string {
	parts := strings.Split(path, "/")
	return strings.Join(parts[:min(n, len(parts))], "/")
}

// generic are the parts that know no business: they build on streams, and on one another.
var generic = []string{"services/gateway", "services/ingest", "processors", "alerts", "dashboards", "deploy"}

// mayImport names the folders of this module that a package may build on, beside its own.
// nil means all: what stands at the end of the direction. Nothing else builds on
// services/shop, the list of the services.
func mayImport(path string) []string {
	switch {
	case under(path, "streams"):
		return []string{}
	case under(path, "services/event"):
		return []string{"streams"}
	case under(path, "services/ingest"): // shares the door's manners
		return []string{"streams", "services/gateway/edge"}
	case under(path, "services/gateway"): // asks what projection and analytics keep
		return []string{"streams", "services/ingest", "processors/projection", "processors/analytics"}
	case under(path, "services/shop"): // and on what decides: it is the list of that
		return []string{"streams"}
	case under(path, "processors/analytics"): // its tables are written by a projection.Run, and from files
		return []string{"streams", "processors/projection", "processors/backfill"}
	case under(path, "processors/backfill"): // makes the events of a Run, for those tables; analytics/rebuild takes them in
		return []string{"streams", "processors/projection", "processors/analytics"}
	case under(path, "processors"):
		return []string{"streams"}
	case under(path, "services"):
		return []string{"streams", "services/event"}
	case under(path, "alerts"):
		return []string{"streams"}
	case under(path, "dashboards"):
		return []string{"streams", "alerts", "processors/projection", "processors/analytics"}
	case under(path, "deploy"):
		return append([]string{"streams"}, generic...)
	}
	return nil
}

// mayBuildOn also takes a package's own folder, and lets the list of the services know
// whatever decides.
func mayBuildOn(from, to string) bool {
	return under(to, append(mayImport(from), own(from))...) || under(from, "services/shop") && decides(to)
}

func own(path string) string {
	if under(path, "services", "processors") {
		return folder(path, 2)
	}
	return folder(path, 1)
}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range packages(t) {
		allowed := mayImport(p.path)
		if allowed == nil {
			continue
		}
		for _, i := range p.Imports {
			inner, ours := strings.CutPrefix(i, module)
			if ours && !mayBuildOn(p.path, inner) {
				t.Errorf("%s imports %s: it may build on %v only", p.path, inner, allowed)
			}
		}
	}
}

// decides tells the services, their words and their sagas from the two doors.
func decides(path string) bool {
	return strings.HasPrefix(path, "services/") && !under(path, "services/ingest", "services/gateway")
}

// pure are the packages that a decision may use: no clock that runs, no chance,
// no network, no file, no log. Add one only if it keeps that.
var pure = []string{"bytes", "cmp", "crypto/hmac", "crypto/sha256", "encoding/base32", "encoding/base64", "encoding/binary", "encoding/hex", "encoding/json",
	"errors", "fmt", "hash/crc32", "hash/fnv", "iter", "maps", "math", "math/big", "math/bits", "regexp", "slices", "sort", "strconv", "strings", "time", "unicode", "unicode/utf8", "golang.org/x/text/currency"} // a table

func TestServicesArePure(t *testing.T) {
	for _, p := range packages(t) {
		if !decides(p.path) {
			continue
		}
		for _, i := range p.Imports {
			if !strings.HasPrefix(i, module) && !slices.Contains(pure, i) {
				t.Errorf("%s imports %s: a decision takes time, ids and outcomes from its input, and reaches out by streams.Effect only", p.path, i)
			}
		}
		for _, f := range p.GoFiles {
			forbidClock(t, filepath.Join(p.Dir, f))
		}
	}
}

// forbidClock finds uses of package time that are more than arithmetic.
func forbidClock(t *testing.T, file string) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return
	}
	clock := []string{"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker", "LoadLocation", "Local"}
	ast.Inspect(tree, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, s.Sel.Name) {
				t.Errorf("%s uses time.%s: take the time from the input, and waits from timers", filepath.Base(file), s.Sel.Name)
			}
		}
		return true
	})
}

// instruments makes metrics: only telemetry does, from its catalogue.
var instruments = regexp.MustCompile(`prometheus\.New(Counter|Gauge|Histogram|Summary|Untyped)|prometheus\.MustNewConst|promauto\.`)

func TestMetricsAreDeclared(t *testing.T) {
	found := 0
	for _, p := range packages(t) {
		for _, f := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			switch uses := instruments.Match(b); {
			case uses && p.path == "streams/telemetry":
				found++
			case uses:
				t.Errorf("%s/%s makes a metric of its own: declare it in the catalogue of streams/telemetry, and use its Instruments", p.path, f)
			}
		}
	}
	if found == 0 {
		t.Error("telemetry makes no metrics: this test looks for the wrong thing")
	}
}

// heavy are modules that must not reach those who import the runtime.
var heavy = []string{"github.com/prometheus/prometheus/", "github.com/grafana/grafana-foundation-sdk/", "github.com/chromedp/"}

func TestTheRuntimeIsLight(t *testing.T) {
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "./streams/...", "./services/...", "./processors/...", "./alerts")
	list.Dir, list.Stderr = "..", os.Stderr
	b, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for dep := range strings.Lines(string(b)) {
		for _, h := range heavy {
			if strings.HasPrefix(dep, h) {
				t.Errorf("the runtime, the services or the objectives need %s", strings.TrimSpace(dep))
			}
		}
	}
}

// Bounds of one service. One that needs more shows what the runtime lacks.
const maxLines, maxFiles = 250, 3

func TestServicesAreSmall(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		if !decides(p.path) || under(p.path, "services/event", "services/shop") {
			continue
		}
		seen++
		if n := len(p.GoFiles) + len(p.TestGoFiles) + len(p.XTestGoFiles); n > maxFiles {
			t.Errorf("%s has %d files, at most %d are allowed", p.path, n, maxFiles)
		}
		lines := 0
		for _, f := range p.GoFiles {
			b, err := os.ReadFile(filepath.Join(p.Dir, f))
			if err != nil {
				t.Fatal(err)
			}
			lines += bytes.Count(b, []byte("\n"))
		}
		if lines > maxLines {
			t.Errorf("%s has %d lines without its tests, at most %d are allowed: what does the runtime lack?", p.path, lines, maxLines)
		}
	}
	if seen < 5 {
		t.Errorf("found %d services: this test looks in the wrong place", seen)
	}
}

// The rules themselves, on imports that must not pass.
func TestTheDirectionIsOneWay(t *testing.T) {
	for _, c := range []struct {
		from, to string
		fine     bool
	}{
		{"streams", "services/event", false}, {"streams/sqlite", "streams", true},
		{"streams/business", "services/event", false},
		{"services/event", "streams/business", true}, {"services/event", "services/order", false},
		{"services/order", "services/event", true}, {"services/order", "services/payment", false},
		{"services/order", "services/shop", false}, {"services/order", "services/gateway/edge", false},
		{"services/payment", "services/payment/provider", true},
		{"services/shop", "services/order", true}, {"services/shop/books", "services/order", true},
		{"services/shop", "services/gateway", false}, {"services/shop", "alerts", false},
		{"services/gateway", "services/order", false}, {"services/gateway", "services/event", false},
		{"services/gateway", "processors/projection", true}, {"services/gateway", "processors/audit", false},
		{"services/ingest", "services/event", false}, {"services/ingest", "services/gateway/edge", true},
		{"services/ingest", "services/gateway", false},
		{"processors/audit", "streams/business", true}, {"processors/audit", "services/event", false},
		{"processors/audit", "services/shop", false}, {"processors/audit", "processors/replay", false},
		{"alerts", "services/shop", false}, {"alerts", "services/event", false}, {"alerts", "dashboards", false},
		{"dashboards", "alerts", true}, {"dashboards", "services/event", false}, {"dashboards", "processors/audit", false},
		{"dashboards/console", "deploy/platform", false},
		{"deploy/platform", "dashboards/console", true}, {"deploy/platform", "services/gateway", true},
		{"deploy/platform", "services/shop", false}, {"deploy/cli", "services/shop", false},
		{"deploy/simulate", "services/order", false}, {"deploy/local/sim", "services/event", false},
		{"deploy/local/sim", "services/payment/provider", false},
	} {
		if mayBuildOn(c.from, c.to) != c.fine {
			t.Errorf("%s → %s: want allowed %v", c.from, c.to, c.fine)
		}
	}
}
