package sim

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/mail"
	"slices"
	"sync"
	"time"
)

// maxMails bounds the mails that are kept whole: the oldest go first. The ledger
// counts them all.
const maxMails = 10_000

// Mailbox is a mail relay that keeps what it is given: SMTP by Serve, and by
// HTTP:
//
//	GET  /mails             what arrived, oldest first; ?to= for one recipient
//	GET  /ledger            copies, refusals and deferrals of every Message-ID
//	GET, POST /faults       see Faults
//
// Mail knows no idempotency, so a mail whose answer was lost arrives twice; the
// ledger counts copies. A recipient at the domain "refused.example" is always
// refused.
type Mailbox struct {
	*trouble
	mux     *http.ServeMux
	running sync.WaitGroup // dialogues
	closing chan struct{}

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
	dialogues map[*dialogue]bool // true while it carries a mail
	journal   *journal
	mails     []*Mail
	byID      map[string]*Mail
	tallies   map[string]*Tally
}

// Mail is one that arrived, however often.
type Mail struct {
	ID      string   `json:"message_id"` // as in the header, or a digest if there is none
	From    string   `json:"from"`       // of the envelope
	To      []string `json:"to"`         // of the envelope
	Subject string   `json:"subject"`
	Text    string   `json:"text"`
	Copies  int      `json:"copies"`
}

// Tally counts what became of a Message-ID. Refused and Deferred count since
// the start of this process.
type Tally struct {
	Copies   int `json:"copies"`
	Refused  int `json:"refused"`
	Deferred int `json:"deferred"`
}

// NewMailbox starts a mailbox with what its journal holds. Call Serve for SMTP.
func NewMailbox(c Config) (*Mailbox, error) {
	b := &Mailbox{mux: http.NewServeMux(), closing: make(chan struct{}), dialogues: map[*dialogue]bool{}, byID: map[string]*Mail{}, tallies: map[string]*Tally{}}
	var err error
	if b.trouble, err = newTrouble(c.Faults); err != nil {
		return nil, err
	}
	if b.journal, err = openJournal(c.Journal, func(m Mail) error { b.file(m); return nil }); err != nil {
		return nil, err
	}
	b.mux.HandleFunc("GET /mails", b.list)
	b.mux.HandleFunc("GET /ledger", b.ledger)
	b.mux.Handle("GET /faults", b.trouble)
	b.mux.Handle("POST /faults", b.trouble)
	return b, nil
}

// ServeHTTP serves the mailbox's API; mail itself comes over SMTP.
func (b *Mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) { b.mux.ServeHTTP(w, r) }

// SetFaults replaces all faults.
func (b *Mailbox) SetFaults(f Faults) error { return b.set(f) }

// Mails returns what arrived, oldest first.
func (b *Mailbox) Mails() []Mail {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Mail, len(b.mails))
	for i, m := range b.mails {
		out[i] = *m
	}
	return out
}

// maxDialogues bounds the connections served at a time.
const maxDialogues = 256

// Serve speaks SMTP on a listener until Close, and then returns nil.
func (b *Mailbox) Serve(l net.Listener) error {
	b.mu.Lock()
	b.listeners = append(b.listeners, l)
	closed := b.closed
	b.mu.Unlock()
	if closed {
		return l.Close()
	}
	for {
		conn, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return nil
		}
		if err != nil {
			return err
		}
		b.admit(conn)
	}
}

func (b *Mailbox) admit(conn net.Conn) {
	d := newDialogue(b, conn)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || b.get().Down {
		d.hangUp()
		return
	}
	full := len(b.dialogues) >= maxDialogues
	b.dialogues[d] = false
	b.running.Add(1)
	go func() {
		defer b.running.Done()
		d.run(full)
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.dialogues, d)
	}()
}

// carrying notes that a dialogue carries a mail, which Close lets finish. It
// reports false if the mailbox is closing.
func (b *Mailbox) carrying(d *dialogue, mail bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.closed || !mail {
		b.dialogues[d] = mail
	}
	return !b.closed
}

// grace is how long Close waits for a mail that is being handed over.
const grace = 5 * time.Second

// Close drains: mails under way are taken, idle connections cut, and the
// journal closed. It takes at most a few seconds.
func (b *Mailbox) Close() error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return nil
	}
	b.closed = true
	close(b.closing)
	var errs []error
	for _, l := range b.listeners {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	for d, carries := range b.dialogues {
		if !carries {
			d.hangUp()
		}
	}
	b.mu.Unlock()
	cut := time.AfterFunc(grace, b.hangUp)
	b.running.Wait()
	cut.Stop()
	return errors.Join(append(errs, b.journal.close())...)
}

func (b *Mailbox) hangUp() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for d := range b.dialogues {
		d.hangUp()
	}
}

// file keeps a mail, or counts one more copy of it; b.mu is held, or nobody
// else is there yet.
func (b *Mailbox) file(m Mail) {
	b.tally(m.ID).Copies++
	if known := b.byID[m.ID]; known != nil {
		known.Copies++
		return
	}
	m.Copies = 1
	b.byID[m.ID] = &m
	if b.mails = append(b.mails, &m); len(b.mails) > maxMails {
		for _, old := range b.mails[:maxMails/2] {
			delete(b.byID, old.ID)
		}
		b.mails = slices.Clone(b.mails[maxMails/2:])
	}
}

func (b *Mailbox) tally(id string) *Tally {
	t := b.tallies[id]
	if t == nil {
		t = &Tally{}
		b.tallies[id] = t
	}
	return t
}

// take decides about a mail and files it unless it is refused.
func (b *Mailbox) take(m Mail, h mishap) (code int, text string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case h.defers:
		b.tally(m.ID).Deferred++
		return 451, "the box is busy, try again later"
	case b.refusesMail(m):
		b.tally(m.ID).Refused++
		return 550, "no such box here"
	}
	if err := b.journal.append(m); err != nil {
		return 451, err.Error()
	}
	b.file(m)
	return 250, "kept"
}

func (b *Mailbox) refusesMail(m Mail) bool {
	return b.refuses("refused", m.ID) ||
		slices.ContainsFunc(m.To, func(to string) bool { return domain(to) == "refused.example" })
}

// readMail takes the headers that a reader wants out of a mail.
func readMail(from string, to []string, data []byte) (Mail, error) {
	msg, err := mail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		return Mail{}, err
	}
	text, err := io.ReadAll(msg.Body)
	if err != nil {
		return Mail{}, err
	}
	m := Mail{ID: msg.Header.Get("Message-ID"), From: from, To: to, Subject: msg.Header.Get("Subject"), Text: string(text)}
	if s, err := new(mime.WordDecoder).DecodeHeader(m.Subject); err == nil {
		m.Subject = s
	}
	if m.ID == "" {
		sum := sha256.Sum256(data)
		m.ID = "sha256:" + hex.EncodeToString(sum[:16])
	}
	return m, nil
}

func (b *Mailbox) list(w http.ResponseWriter, r *http.Request) {
	mails, to := b.Mails(), r.URL.Query().Get("to")
	if to != "" {
		mails = slices.DeleteFunc(mails, func(m Mail) bool { return !slices.Contains(m.To, to) })
	}
	answer(w, http.StatusOK, mails)
}

func (b *Mailbox) ledger(w http.ResponseWriter, _ *http.Request) {
	b.mu.Lock()
	out, err := json.Marshal(map[string]any{"keys": b.tallies})
	b.mu.Unlock()
	writeLedger(w, out, err)
}
