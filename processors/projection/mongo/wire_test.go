//go:build real

package mongo_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// fate is what becomes of a command on its way.
type fate int

const (
	pass    fate = iota
	lost         // it never reaches the server
	unheard      // the server acts, and its answer is lost
)

// wire stands between the driver and the server, and breaks where decide says.
// It calls broke once the server has acted, or never will.
type wire struct {
	t      testing.TB
	server string
	mu     sync.Mutex
	decide func(command, collection string) fate
	broke  func()
}

// newWire gives the address of a wire to a server.
func newWire(t testing.TB, address string, decide func(command, collection string) fate, broke func()) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{t: t, server: strings.TrimSuffix(strings.TrimPrefix(address, "mongodb://"), "/"), decide: decide, broke: broke}
	var conns sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		conns.Wait()
	})
	conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conns.Go(func() { w.serve(c) })
		}
	})
	return "mongodb://" + l.Addr().String() + "/"
}

func (w *wire) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", w.server)
	if err != nil {
		return
	}
	defer server.Close()
	for {
		msg, err := message(client)
		if err != nil {
			return
		}
		f := w.fate(msg)
		if f == lost {
			w.broke()
			return
		}
		if _, err := server.Write(msg); err != nil {
			return
		}
		answer, err := message(server)
		if f == unheard {
			w.broke()
		}
		if err != nil || f == unheard {
			return
		}
		if _, err := client.Write(answer); err != nil {
			return
		}
	}
}

// message reads a whole message: its length comes first, in little endian.
func message(c net.Conn) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.LittleEndian.Uint32(head[:]))
	copy(msg, head[:])
	_, err := io.ReadFull(c, msg[4:])
	return msg, err
}

func (w *wire) fate(msg []byte) fate {
	const opMsg, body = 2013, 21 // header, flags and the kind of the first section come before the body
	if len(msg) < body+5 || binary.LittleEndian.Uint32(msg[12:]) != opMsg {
		return pass
	}
	length := int(binary.LittleEndian.Uint32(msg[body:]))
	first, err := bson.Raw(msg[body : body+length]).IndexErr(0)
	if err != nil {
		w.t.Errorf("a message cannot be read: %v", err)
		return pass
	}
	collection, ok := first.Value().StringValueOK()
	if !ok {
		return pass // about the connection
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.decide(first.Key(), collection)
}
