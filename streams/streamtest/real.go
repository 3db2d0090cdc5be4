package streamtest

import (
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// Real is the address of a real server that a test runs against: "kafka",
// "postgres", "rabbitmq" and so on, as deploy/local/servers knows them. The
// server that is not there fails the test: only SKIP, a list of names, leaves
// one out. make test-real starts the servers and says where they are.
func Real(t testing.TB, name string) string {
	t.Helper()
	server, _, _ := strings.Cut(name, "-") // kafka-sasl is another address of kafka
	if name == "logs" {
		server = "shipper"
	}
	if slices.Contains(strings.FieldsFunc(os.Getenv("SKIP"), func(r rune) bool { return r == ',' || r == ' ' }), server) {
		t.Skipf("SKIP names %s", server)
	}
	variable := "WEIR_REAL_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_"))
	addr := os.Getenv(variable)
	if addr == "" {
		t.Fatalf("%s is not set: run this with make test-real, which starts %s, or leave it out with SKIP=%s", variable, server, server)
	}
	return addr
}

// Servers starts, stops or kills real servers: Servers(t, "restart", "kafka")
// runs deploy/local/servers/servers with these arguments.
func Servers(t testing.TB, args ...string) {
	t.Helper()
	script := os.Getenv("WEIR_REAL_SERVERS")
	if script == "" {
		t.Fatal("WEIR_REAL_SERVERS is not set: run this with make test-real")
	}
	if out, err := exec.CommandContext(t.Context(), script, args...).CombinedOutput(); err != nil {
		t.Fatalf("servers %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}
