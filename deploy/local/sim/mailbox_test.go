package sim_test

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/smtp"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/weirstream/weir/deploy/local/sim"
)

func mailbox(t *testing.T, f sim.Faults) (*sim.Mailbox, string) {
	t.Helper()
	b, err := sim.NewMailbox(sim.Config{Faults: f})
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- b.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(b.Close(), <-served); err != nil {
			t.Error(err)
		}
	})
	return b, l.Addr().String()
}

// send hands over a mail as the services do, with two seconds for all of it.
func send(t *testing.T, addr, id, to, text string) error {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		t.Fatal(err)
	}
	c, err := smtp.NewClient(conn, "127.0.0.1")
	if err != nil {
		return err
	}
	if err := c.Mail("shop@weir.example"); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(w, "Message-ID: %s\r\nSubject: =?utf-8?q?gr=C3=BC=C3=9Fe?=\r\n\r\n%s", id, text); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

func code(err error) int {
	var p *textproto.Error
	if errors.As(err, &p) {
		return p.Code
	}
	return 0
}

func TestMailArrives(t *testing.T) {
	b, addr := mailbox(t, sim.Faults{})
	for range 2 {
		if err := send(t, addr, "<1@weir>", "ada@example.org", "a line\r\n.dotted\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	if err := send(t, addr, "<2@weir>", "bob@example.org", "hello"); err != nil {
		t.Fatal(err)
	}
	mails := b.Mails()
	if len(mails) != 2 || mails[0].Copies != 2 || mails[0].Subject != "grüße" || mails[0].Text != "a line\n.dotted\n" || mails[0].To[0] != "ada@example.org" || mails[0].From != "shop@weir.example" {
		t.Errorf("got %+v", mails)
	}
	web := httptest.NewServer(b)
	defer web.Close()
	if at(get(t, web.URL+"/ledger"), "keys", "<1@weir>", "copies") != 2.0 {
		t.Error("the ledger does not count copies")
	}
}

func TestMailFaults(t *testing.T) {
	b, addr := mailbox(t, sim.Faults{})
	try := func(f sim.Faults, id string) error {
		t.Helper()
		if err := b.SetFaults(f); err != nil {
			t.Fatal(err)
		}
		return send(t, addr, id, "ada@example.org", "hello")
	}
	if err := try(sim.Faults{Refuse: map[string]float64{"refused": 1}}, "<1@weir>"); code(err) != 550 {
		t.Errorf("refused: %v", err)
	}
	if err := try(sim.Faults{Defers: 1}, "<1@weir>"); code(err) != 451 {
		t.Errorf("deferred: %v", err)
	}
	if err := try(sim.Faults{Errors: 1}, "<1@weir>"); code(err) != 421 {
		t.Errorf("out of order: %v", err)
	}
	if err := try(sim.Faults{Down: true}, "<1@weir>"); err == nil {
		t.Error("a mailbox that is down took a mail")
	}
	if err := send(t, addr, "<1@weir>", "x@refused.example", "hello"); err == nil {
		t.Error("refused.example took a mail")
	}
	if n := len(b.Mails()); n != 0 {
		t.Errorf("%d mails arrived", n)
	}
	if err := try(sim.Faults{Lost: 1}, "<2@weir>"); err == nil || code(err) != 0 {
		t.Errorf("lost: %v", err)
	}
	if err := try(sim.Faults{Late: 1, LateMS: 50}, "<2@weir>"); err != nil {
		t.Errorf("late: %v", err)
	}
	if m := b.Mails(); len(m) != 1 || m[0].Copies != 2 {
		t.Errorf("a mail whose answer was lost left %+v", m)
	}
}

func TestDialogue(t *testing.T) {
	_, addr := mailbox(t, sim.Faults{})
	talk := func(t *testing.T, lines ...string) string {
		t.Helper()
		conn, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if err := conn.SetDeadline(time.Now().Add(soon)); err != nil {
			t.Fatal(err)
		}
		in, last := textproto.NewReader(bufio.NewReader(conn)), ""
		for _, l := range append([]string{""}, lines...) {
			if l != "" {
				if _, err := fmt.Fprintf(conn, "%s\r\n", l); err != nil {
					return last + "cut"
				}
			}
			n, _, err := in.ReadResponse(0)
			if err != nil {
				return last + "cut"
			}
			last += fmt.Sprint(n, " ")
		}
		return last
	}
	long := strings.Repeat("x", 3000)
	for _, c := range []struct {
		want  string
		lines []string
	}{
		{"220 250 250 250 250 221 ", []string{"EHLO me", "MAIL FROM:<a@b>", "RCPT TO:<c@d>", "RSET", "QUIT"}},
		{"220 250 503 ", []string{"helo me", "rcpt to:<c@d>"}},
		{"220 503 ", []string{"DATA"}},
		{"220 250 503 ", []string{"MAIL FROM:<a@b>", "MAIL FROM:<a@b>"}},
		{"220 501 501 250 501 ", []string{"MAIL", "MAIL FROM:a@b", "MAIL FROM:<>", "RCPT TO:<>"}},
		{"220 552 ", []string{"MAIL FROM:<a@b> SIZE=99999999"}},
		{"220 502 250 ", []string{"VRFY ada", "NOOP"}},
		{"220 500 250 ", []string{long, "NOOP"}},
		{"220 cut", []string{strings.Repeat(long, 20)}},
		{"220 250 250 354 250 250 ", []string{"MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "Subject: x\r\n\r\ny\r\n.", "NOOP"}},
		{"220 250 250 354 554 ", []string{"MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "no headers\r\n."}},
		{"220 250 250 354 552 250 ", []string{"MAIL FROM:<a@b>", "RCPT TO:<c@d>", "DATA", "A: b\r\n\r\n" + strings.Repeat(long+"\r\n", 400) + ".", "NOOP"}},
		{"220 502 502 502 502 502 502 502 502 502 502 421 ", []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"}},
	} {
		if got := talk(t, c.lines...); got != c.want {
			t.Errorf("%.60q… was answered %s, want %s", c.lines, got, c.want)
		}
	}
}

func TestCloseCutsIdleConnections(t *testing.T) {
	b, addr := mailbox(t, sim.Faults{})
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	in := bufio.NewReader(conn)
	if _, err := in.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("closing took %v with an idle client", took)
	}
	if _, err := in.ReadString('\n'); err == nil {
		t.Error("the idle client is still connected")
	}
}
