package embedded

import (
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

// The embedded log believes who connects: it allocates what a request's first four
// bytes say, 1.2 GB for an HTTP "GET ". So these are read before it does.
const (
	maxFrame      = 16 << 20         // of a request; a batch of records has 1 MB
	maxFirstFrame = 64 << 10         // before a connection has shown that it speaks the protocol
	maxStrangers  = 256              // connections at a time
	idleTime      = 10 * time.Minute // without a request, as Kafka's own default
	frameTime     = 30 * time.Second // to send a request that has begun
)

// strangers bounds the connections from outside of this process.
type strangers struct {
	log *slog.Logger
	mu  sync.Mutex
	n   int
}

// admit wraps a connection, or closes it and returns nil if there are too many.
func (s *strangers) admit(c net.Conn) net.Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.n >= maxStrangers {
		s.log.Warn("connection to the log refused", "from", c.RemoteAddr(), "because", fmt.Sprintf("there are %d already", s.n))
		_ = c.Close() // nobody will serve it
		return nil
	}
	s.n++
	return &stranger{Conn: c, of: s, most: maxFirstFrame}
}

// stranger is a connection of which no request is passed on that is too long. One
// goroutine reads it.
type stranger struct {
	net.Conn
	of   *strangers
	once sync.Once

	head    [4]byte // the length of the next request,
	got     int     // of which so many bytes have come
	pending []byte  // and these are not passed on yet
	left    int     // of the request that is being passed on
	most    int     // that the next may have
}

func (c *stranger) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	if c.left == 0 && len(c.pending) == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.pending) > 0 {
		n := copy(b, c.pending)
		c.pending = c.pending[n:]
		return n, nil
	}
	n, err := c.Conn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// next reads the length of a request.
func (c *stranger) next() error {
	_ = c.SetReadDeadline(time.Now().Add(idleTime)) // fails on a closed connection, as the read will
	for c.got = 0; c.got < len(c.head); {
		n, err := c.Conn.Read(c.head[c.got:])
		if c.got += n; err != nil {
			return err
		}
	}
	size := binary.BigEndian.Uint32(c.head[:])
	if int64(size) > int64(c.most) {
		c.of.log.Warn("connection to the log closed", "from", c.RemoteAddr(), "because",
			fmt.Sprintf("it begins a request of %d bytes (%q), which has at most %d: does it speak Kafka's protocol, without TLS?", size, c.head[:], c.most))
		return fmt.Errorf("a request of %d bytes: at most %d", size, c.most)
	}
	c.left, c.pending, c.most = int(size), c.head[:], maxFrame
	_ = c.SetReadDeadline(time.Now().Add(frameTime))
	return nil
}

// Close ends the connection, once.
func (c *stranger) Close() error {
	c.once.Do(func() {
		c.of.mu.Lock()
		c.of.n--
		c.of.mu.Unlock()
	})
	return c.Conn.Close()
}
