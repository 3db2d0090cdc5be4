package sim

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"
)

// Bounds of an SMTP dialogue (RFC 5321).
const (
	maxMail       = 1 << 20 // bytes
	maxLine       = 2048    // bytes of a command
	maxOverrun    = 16      // times maxLine before an endless line is cut
	maxRecipients = 100
	maxMistakes   = 10 // per connection
	idleLimit     = time.Minute
	dataLimit     = 2 * time.Minute
)

// dialogue is one connection of a mail client.
type dialogue struct {
	box      *Mailbox
	conn     net.Conn
	in       *bufio.Reader
	from     string
	hasFrom  bool
	to       []string
	mistakes int
}

func newDialogue(b *Mailbox, conn net.Conn) *dialogue {
	return &dialogue{box: b, conn: conn, in: bufio.NewReaderSize(conn, maxLine)}
}

func (d *dialogue) hangUp() { _ = d.conn.Close() } // whatever it was, it is over

// errEnd ends a dialogue.
var errEnd = errors.New("end of dialogue")

func (d *dialogue) run(full bool) {
	defer d.hangUp()
	if full {
		_ = d.say(421, "too many connections") // and hang up, heard or not
		return
	}
	err := d.say(220, "weir mailbox")
	for err == nil {
		var line string
		if line, err = d.line(); err == nil {
			err = d.command(line)
		}
	}
}

func (d *dialogue) say(code int, text string) error {
	if code >= 500 {
		if d.mistakes++; d.mistakes > maxMistakes {
			code, text = 421, "too many mistakes"
		}
	}
	if err := d.write(fmt.Sprintf("%d %s\r\n", code, text)); err != nil {
		return err
	}
	if code == 421 || code == 221 {
		return errEnd
	}
	return nil
}

func (d *dialogue) write(answer string) error {
	if err := d.conn.SetWriteDeadline(time.Now().Add(idleLimit)); err != nil {
		return err
	}
	_, err := io.WriteString(d.conn, answer)
	return err
}

func (d *dialogue) line() (string, error) {
	if err := d.conn.SetReadDeadline(time.Now().Add(idleLimit)); err != nil {
		return "", err
	}
	b, err := d.in.ReadSlice('\n')
	line := string(b)
	for n := 0; errors.Is(err, bufio.ErrBufferFull) && n < maxOverrun; n++ {
		line = "" // hanging up now would take the answer with it: read on and refuse
		_, err = d.in.ReadSlice('\n')
	}
	return strings.TrimRight(line, "\r\n"), err
}

func (d *dialogue) command(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "":
		return d.say(500, "that is no command, or it is too long")
	case "HELO":
		d.reset()
		return d.say(250, "weir mailbox")
	case "EHLO":
		d.reset()
		return d.write(fmt.Sprintf("250-weir mailbox\r\n250-8BITMIME\r\n250 SIZE %d\r\n", maxMail))
	case "MAIL":
		return d.mail(rest)
	case "RCPT":
		return d.rcpt(rest)
	case "DATA":
		return d.data()
	case "RSET":
		d.reset()
		return d.say(250, "forgotten")
	case "NOOP":
		return d.say(250, "still here")
	case "QUIT":
		return d.say(221, "good-bye")
	}
	return d.say(502, "HELO, EHLO, MAIL, RCPT, DATA, RSET, NOOP and QUIT are what I know")
}

func (d *dialogue) reset() { d.from, d.hasFrom, d.to = "", false, nil }

func (d *dialogue) mail(rest string) error {
	address, params, ok := path(rest, "FROM:")
	switch {
	case !ok:
		return d.say(501, "say MAIL FROM:<address>")
	case d.hasFrom:
		return d.say(503, "one sender at a time")
	}
	for _, p := range strings.Fields(params) {
		if size, ok := strings.CutPrefix(strings.ToUpper(p), "SIZE="); ok {
			if n, err := strconv.Atoi(size); err != nil || n > maxMail {
				return d.say(552, "the mail is too large")
			}
		}
	}
	d.from, d.hasFrom = address, true
	return d.say(250, "go on")
}

func (d *dialogue) rcpt(rest string) error {
	address, _, ok := path(rest, "TO:")
	switch {
	case !d.hasFrom:
		return d.say(503, "MAIL comes first")
	case !ok || domain(address) == "":
		return d.say(501, "say RCPT TO:<address>")
	case len(d.to) >= maxRecipients:
		return d.say(452, "too many recipients")
	}
	d.to = append(d.to, address)
	return d.say(250, "go on")
}

func (d *dialogue) data() error {
	if len(d.to) == 0 {
		return d.say(503, "RCPT comes first")
	}
	if !d.box.carrying(d, true) {
		return d.say(421, "closing")
	}
	defer d.box.carrying(d, false)
	if err := d.say(354, "end with a dot on its own"); err != nil {
		return err
	}
	if err := d.conn.SetReadDeadline(time.Now().Add(dataLimit)); err != nil {
		return err
	}
	dots := textproto.NewReader(d.in).DotReader()
	b, err := io.ReadAll(io.LimitReader(dots, maxMail+1))
	if err != nil {
		return err
	}
	if len(b) > maxMail {
		if _, err := io.Copy(io.Discard, dots); err != nil {
			return err
		}
		d.reset()
		return d.say(552, "the mail is too large")
	}
	return d.deliver(b)
}

func (d *dialogue) deliver(b []byte) error {
	defer d.reset()
	m, err := readMail(d.from, d.to, b)
	if err != nil {
		return d.say(554, "that is no mail: it needs headers, an empty line and a text")
	}
	h := d.box.draw()
	if !d.wait(h.before) {
		return errEnd
	}
	if h.fails {
		return d.say(421, "out of order, try again")
	}
	code, text := d.box.take(m, h)
	if h.lost {
		d.silence()
		return errEnd
	}
	if !d.wait(h.after) {
		return errEnd
	}
	if err := d.say(code, text); err != nil {
		return err
	}
	if !d.box.carrying(d, false) {
		return d.say(421, "closing")
	}
	return nil
}

// wait sleeps, and reports false when the mailbox closes meanwhile.
func (d *dialogue) wait(t time.Duration) bool {
	if t == 0 {
		return true
	}
	timer := time.NewTimer(t)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-d.box.closing:
		return false
	}
}

// silence says nothing until the client gives up.
func (d *dialogue) silence() {
	if !d.box.carrying(d, false) {
		return // closing
	}
	_ = d.conn.SetReadDeadline(time.Now().Add(maxSilence)) // a dead connection ends the read as well
	_, _ = d.in.ReadByte()
}

// path reads "FROM:<ada@example.org> SIZE=1" as address and parameters.
func path(rest, prefix string) (address, params string, ok bool) {
	if len(rest) < len(prefix) || !strings.EqualFold(rest[:len(prefix)], prefix) {
		return "", "", false
	}
	rest = strings.TrimSpace(rest[len(prefix):])
	if !strings.HasPrefix(rest, "<") {
		return "", "", false
	}
	return strings.Cut(rest[1:], ">")
}

func domain(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}
