//go:build real

package kill

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/weirstream/weir/bench/retail"
	"github.com/weirstream/weir/deploy/local/sim"
	"github.com/weirstream/weir/services/event"
	"github.com/weirstream/weir/streams"
)

const invoices = "../retail/online_retail_2010-12.csv"

// A week of invoices becomes the same on real servers as in one process.
func TestRetailOnServers(t *testing.T) {
	binary := build(t)
	o := newOutside(t, sim.Faults{})
	alone := newProcess(t, binary, nil, "dev", "--data", t.TempDir(), "--kafka", freePort(t), "--partitions", fmt.Sprint(partitions), "--log-level", "warn",
		"--outside", "provider="+o.providerURL, "--outside", "carrier="+o.carrierURL, "--outside", "mailbox="+o.mailboxAddr)
	alone.start()
	_, err := alone.ready(20 * time.Second)
	check(t, err)
	want := loadInvoices(t, binary, alone.base())
	alone.kill()

	s := newShared(t, binary, sim.Faults{})
	got := loadInvoices(t, binary, s.processes[0].base())
	if got != want {
		t.Errorf("on real servers the invoices become\n%s\nand in one process\n%s", got, want)
	}
	var r retail.Report
	check(t, json.Unmarshal([]byte(got), &r))
	if r.Confirmed != 563 || r.ConfirmedTotalMinor != 25815428 || r.Currency != "GBP" || r.Cancelled != 0 {
		t.Errorf("%d orders are confirmed, of %d minor %s, and %d cancelled: want all 563 of 25815428 GBP", r.Confirmed, r.ConfirmedTotalMinor, r.Currency, r.Cancelled)
	}
	s.load.acknowledged, s.load.stop, s.load.done = invoiceOrders(t), s.probes.stop, s.probes.done
	s.end()
}

// loadInvoices runs weir load, and returns the JSON that it prints.
func loadInvoices(t *testing.T, binary, url string) string {
	t.Helper()
	file, err := filepath.Abs(invoices)
	check(t, err)
	began := time.Now()
	c := exec.CommandContext(t.Context(), binary, "load", file, "--url", url, "-o", "json")
	out, err := c.Output()
	if err != nil {
		t.Fatalf("weir load: %v\n%s", err, out)
	}
	t.Logf("loaded in %v", time.Since(began).Round(time.Millisecond))
	return string(out)
}

func invoiceOrders(t *testing.T) (ids []streams.Key) {
	t.Helper()
	f, err := os.Open(invoices)
	check(t, err)
	defer f.Close()
	file, err := retail.Read(f)
	check(t, err)
	for _, o := range file.Orders {
		ids = append(ids, event.OrderID(o.Invoice))
	}
	return ids
}
