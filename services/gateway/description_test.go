package gateway

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/weirstream/weir/services/ingest"
)

// described reads the paths and methods of openapi.yaml by its indentation.
func described() (out []string) {
	_, paths, _ := strings.Cut(string(openapi), "\npaths:\n")
	paths, _, _ = strings.Cut(paths, "\ncomponents:\n")
	path := ""
	for line := range strings.Lines(paths) {
		name := strings.TrimSuffix(strings.TrimSpace(line), ":")
		switch {
		case strings.HasPrefix(line, "  /"):
			path = name
		case strings.HasPrefix(line, "    ") && line[4] != ' ' && name != "parameters":
			out = append(out, strings.ToUpper(name)+" "+path)
		}
	}
	slices.Sort(out)
	return out
}

func TestEveryRouteIsDescribed(t *testing.T) {
	served := []string{http.MethodPost + " " + ingest.Path}
	for path, methods := range (&gateway{}).routes() {
		for m := range methods {
			served = append(served, m+" "+path)
		}
	}
	slices.Sort(served)
	if d := described(); !slices.Equal(served, d) {
		t.Errorf("served:\n%s\ndescribed:\n%s", strings.Join(served, "\n"), strings.Join(d, "\n"))
	}
}

func TestEveryReferenceLeadsSomewhere(t *testing.T) {
	for _, part := range strings.Split(string(openapi), `$ref: "#/components/`)[1:] {
		ref, _, _ := strings.Cut(part, `"`)
		group, name, _ := strings.Cut(ref, "/")
		name, _, _ = strings.Cut(name, "/")
		_, section, ok := strings.Cut(string(openapi), "\n  "+group+":\n")
		if !ok || !strings.Contains("\n"+section, "\n    "+name+":") {
			t.Errorf("%s is not there", ref)
		}
	}
}

func TestEveryStateIsDescribed(t *testing.T) {
	if want := "State: {type: string, enum: [" + strings.Join(states, ", ") + "]}"; !strings.Contains(string(openapi), want) {
		t.Errorf("openapi.yaml lacks %q", want)
	}
}
