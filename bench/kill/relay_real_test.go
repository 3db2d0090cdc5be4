//go:build real

package kill

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/weirstream/weir/streams/streamtest"
)

// relay stands between the platform and RabbitMQ. It keeps acknowledgements
// back, and cuts connections: the broker has to deliver those commands again.
type relay struct {
	server  string // address
	keep    atomic.Bool
	kept    atomic.Int64 // acknowledgements that the broker never got
	again   atomic.Int64 // deliveries that the broker marks as repeated
	running sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]bool // the platform's
	ended bool
}

// newRelay returns one, and the URL under which RabbitMQ is behind it.
func newRelay(t *testing.T) (*relay, string) {
	t.Helper()
	u, err := url.Parse(streamtest.Real(t, "rabbitmq"))
	check(t, err)
	l := listen(t)
	r := &relay{server: u.Host, conns: map[net.Conn]bool{}}
	r.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return // closed
			}
			r.running.Go(func() { r.carry(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		r.mu.Lock()
		r.ended = true
		r.mu.Unlock()
		r.cut()
		r.running.Wait()
	})
	u.Host = l.Addr().String()
	return r, u.String()
}

// cut ends all connections.
func (r *relay) cut() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.conns {
		c.Close()
	}
}

func (r *relay) carry(platform net.Conn) {
	defer platform.Close()
	server, err := net.DialTimeout("tcp", r.server, 5*time.Second)
	if err != nil {
		return // the platform finds its connection closed
	}
	defer server.Close()
	r.mu.Lock()
	r.conns[platform] = true
	if r.ended {
		platform.Close()
	}
	r.mu.Unlock()
	var up sync.WaitGroup
	up.Go(func() {
		defer server.Close()
		r.up(bufio.NewReader(platform), server)
	})
	r.down(bufio.NewReader(server), platform)
	platform.Close()
	up.Wait()
	r.mu.Lock()
	delete(r.conns, platform)
	r.mu.Unlock()
}

// AMQP methods, as class and number.
const (
	basicDeliver = 60<<16 | 60
	basicAck     = 60<<16 | 80
)

// up passes on what the platform says. From an acknowledgement on that is kept
// back, all that its connection says is: what follows was done, too.
func (r *relay) up(from io.Reader, to io.Writer) {
	if _, err := io.CopyN(to, from, int64(len("AMQP\x00\x00\x09\x01"))); err != nil {
		return
	}
	for keeps := false; ; {
		f, err := frame(from)
		if err != nil {
			return
		}
		ack := method(f) == basicAck
		if keeps = keeps || ack && r.keep.Load(); keeps {
			if ack {
				r.kept.Add(1)
			}
			continue
		}
		if _, err := to.Write(f); err != nil {
			return
		}
	}
}

func (r *relay) down(from io.Reader, to io.Writer) {
	for {
		f, err := frame(from)
		if err != nil {
			return
		}
		if method(f) == basicDeliver && redelivered(f) {
			r.again.Add(1)
		}
		if _, err := to.Write(f); err != nil {
			return
		}
	}
}

// frame reads one: type, channel, length, payload, end.
func frame(from io.Reader) ([]byte, error) {
	head := make([]byte, 7, 64)
	if _, err := io.ReadFull(from, head); err != nil {
		return nil, err
	}
	f := append(head, make([]byte, binary.BigEndian.Uint32(head[3:])+1)...)
	_, err := io.ReadFull(from, f[len(head):])
	return f, err
}

// method is what a frame says, 0 if it is none's.
func method(f []byte) uint32 {
	if f[0] != 1 || len(f) < 12 {
		return 0
	}
	return binary.BigEndian.Uint32(f[7:])
}

// redelivered is a delivery's flag, after the consumer's tag and the number.
func redelivered(f []byte) bool {
	at := 12 + int(f[11]) + 8
	return at < len(f) && f[at]&1 == 1
}

// Connections are cut again and again, each time after commands were decided and
// answered whose acknowledgement did not arrive. They come again, and count once.
func TestCommandsComeAgain(t *testing.T) {
	r, address := newRelay(t)
	s := newShared(t, build(t), trouble, "WEIR_RABBITMQ_URL="+address)
	s.load.start(t)
	time.Sleep(3 * time.Second)
	before := s.confirmed()
	for range 10 {
		r.keep.Store(true)
		time.Sleep(500 * time.Millisecond)
		r.keep.Store(false)
		r.cut()
		time.Sleep(time.Second)
	}
	during := s.confirmed() - before
	t.Logf("%d commands were answered and not acknowledged, %d deliveries were repeats; %d orders confirmed meanwhile, the next after %v", r.kept.Load(), r.again.Load(), during, s.works())
	if r.kept.Load() == 0 || r.again.Load() < r.kept.Load() {
		t.Error("not every command that was not acknowledged came again")
	}
	if during == 0 {
		t.Error("no order was confirmed meanwhile")
	}
	s.end()
}
