package embedded

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

func frame(size int) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(size)), make([]byte, size)...)
}

// What is no request, or a too long one, is not passed on to who would allocate it.
func TestNoRequestIsLongerThanItMayBe(t *testing.T) {
	hello := frame(20)
	for name, c := range map[string]struct {
		sent   []byte
		passed int // of it, in bytes
		failed bool
	}{
		"HTTP":             {[]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), 0, true},
		"TLS":              {append([]byte{0x16, 0x03, 0x01, 0x02, 0x00}, make([]byte, 512)...), 0, true},
		"negative":         {[]byte{0xff, 0xff, 0xff, 0xff, 0}, 0, true},
		"requests":         {append(hello, frame(3<<20)...), len(hello) + 4 + 3<<20, false},
		"large at first":   {frame(1 << 20), 0, true},
		"too large":        {append(hello[:len(hello):len(hello)], 0x01, 0x00, 0x00, 0x01, 0), len(hello), true},
		"an empty request": {make([]byte, 12), 12, false},
		"cut off":          {hello[:10], 10, false},
		"half a length":    {[]byte{0, 0}, 0, false},
	} {
		t.Run(name, func(t *testing.T) {
			ours, theirs := net.Pipe()
			s := &strangers{log: slog.New(slog.DiscardHandler)}
			in := s.admit(theirs)
			go func() {
				_, _ = ours.Write(c.sent) // refused in the middle
				ours.Close()
			}()
			got, err := io.ReadAll(in)
			in.Close()
			in.Close()
			if !bytes.Equal(got, c.sent[:c.passed]) || (err != nil) != c.failed {
				t.Errorf("%d bytes passed on, error %v; want %d", len(got), err, c.passed)
			}
			if s.n != 0 {
				t.Errorf("%d connections are counted", s.n)
			}
		})
	}
}

// Who says nothing, or begins a request and does not end it, is let go.
func TestWhoSaysNothingIsLetGo(t *testing.T) {
	for sent, after := range map[string]time.Duration{"": idleTime, "\x00\x00": idleTime, "\x00\x00\x00\x08abc": frameTime} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			in := (&strangers{log: slog.New(slog.DiscardHandler)}).admit(theirs)
			defer in.Close()
			go func() { _, _ = ours.Write([]byte(sent)) }()
			began := time.Now()
			_, err := io.ReadAll(in)
			if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took != after {
				t.Errorf("%q: %v after %v", sent, err, took)
			}
		})
	}
}

// The embedded log serves who speaks its protocol, closes on who does not, and has
// so many connections at a time.
func TestStrangersAtTheLog(t *testing.T) {
	var l *listener
	var said heard
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.ListenFn(func(network, _ string) (net.Listener, error) {
		tcp, err := net.Listen(network, "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		l = newListener(tcp, slog.New(slog.NewTextHandler(&said, nil)))
		return l, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	dial := func() net.Conn {
		t.Helper()
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return conn
	}
	closed := func(conn net.Conn) {
		t.Helper()
		if _, err := io.ReadAll(conn); err != nil && !strings.Contains(err.Error(), "reset") {
			t.Error(err)
		}
	}
	browser := dial()
	if _, err := browser.Write([]byte("GET / HTTP/1.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	closed(browser)
	client, err := kgo.NewClient(kgo.SeedBrokers(l.Addr().String()))
	if err != nil {
		t.Fatal(err)
	}
	if err := client.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	client.Close()
	for count := 1; count > 0; time.Sleep(time.Millisecond) { // until all of these have gone
		l.others.mu.Lock()
		count = l.others.n
		l.others.mu.Unlock()
	}
	for range maxStrangers {
		dial()
	}
	closed(dial()) // one of them is one too many
	ours, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...), kgo.Dialer(l.dial))
	if err != nil {
		t.Fatal(err)
	}
	defer ours.Close()
	if err := ours.Ping(t.Context()); err != nil {
		t.Errorf("this process is shut out: %v", err)
	}
	if !strings.Contains(said.String(), "GET ") || !strings.Contains(said.String(), "256 already") {
		t.Errorf("the log says %s", said.String())
	}
}

// heard keeps what a server logs, which may still speak while it is read.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (h *heard) Write(b []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(b)
}

func (h *heard) String() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.String()
}
