package cli

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/weirstream/weir/deploy/platform/practice"
	"github.com/weirstream/weir/services/shop"
)

var update = flag.Bool("update", false, "write the golden files again")

// What the README shows is rendered from the code, or is code that is tested.
func TestGoldenReadme(t *testing.T) {
	top, err := shop.Business.Topology()
	if err != nil {
		t.Fatal(err)
	}
	readme := filepath.Join("..", "..", "README.md")
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	want := replaceBlock(t, string(b), "topology", "```mermaid\n"+top.Mermaid()+"```")
	want = replaceBlock(t, want, "faults", faultTable())
	for block, file := range map[string]string{"service": "wishlist.go", "test": "wishlist_test.go", "business": "main.go", "simulation": "days_test.go"} {
		code, err := os.ReadFile(filepath.Join("wishes", file))
		if err != nil {
			t.Fatal(err)
		}
		want = replaceBlock(t, want, block, "```go\n"+string(code)+"```")
	}
	if want == string(b) {
		return
	}
	if !*update {
		t.Fatal("README.md is not what the code says: run make golden and look at the difference")
	}
	if err := os.WriteFile(readme, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}

// faultTable says what each fault does, and whom it calls.
func faultTable() string {
	var b strings.Builder
	b.WriteString("| fault | what it does, and what is to be seen | alerts, with their runbooks |\n|---|---|---|")
	for _, f := range practice.All(shop.Business) {
		var calls []string
		for _, a := range f.Alerts {
			calls = append(calls, "["+a+"](alerts/runbooks/"+a+".md)")
		}
		b.WriteString("\n| `" + f.Name + "` | " + f.What + " " + f.Effect + " | " + strings.Join(calls, ", ") + " |")
	}
	return b.String()
}

// Topics and access rules are committed, so that a change of them is seen.
func TestGoldenKafka(t *testing.T) {
	golden, err := filepath.Abs(filepath.Join("testdata", "kafka.txt"))
	if err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(golden)
	if err != nil && !*update {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir()) // where no weir.yaml is
	var got, errs bytes.Buffer
	if code := tested.Main([]string{"kafka", "plan"}, &got, &errs); code != 0 {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	if got.String() == string(want) {
		return
	}
	if !*update {
		t.Fatal("weir kafka plan says something else than deploy/cli/testdata/kafka.txt: run make golden and look at the difference")
	}
	if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// replaceBlock puts text between the markers of a name.
func replaceBlock(t *testing.T, s, name, text string) string {
	t.Helper()
	begin, end := "<!-- "+name+" -->\n", "\n<!-- /"+name+" -->"
	head, rest, ok := strings.Cut(s, begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("README.md lacks the markers of %s", name)
	}
	return head + begin + text + end + tail
}
