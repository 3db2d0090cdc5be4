package backfill

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
)

// maxLine bounds a line, and the lines of one record of CSV, in bytes.
const maxLine = 8 << 20

// open begins to read the file.
func (f *File) open() (source, *os.File, error) {
	in, err := os.Open(f.path)
	if err != nil {
		return nil, nil, err
	}
	var src source
	if format := &f.plan.File; format.Format == "parquet" {
		src, err = newPages(in, f.size, f.plan)
	} else {
		var l *lines
		if l, err = newLines(in, strings.HasSuffix(f.path, ".gz")); err == nil && format.Format == "csv" {
			src, err = newTable(l, f.plan)
		} else if err == nil {
			src = newObjects(l, f.plan)
		}
	}
	if err != nil {
		return nil, nil, errors.Join(err, in.Close())
	}
	return src, in, nil
}

// counted counts what is read of a file, and sums it up.
type counted struct {
	in   io.Reader
	n    int64
	hash hash.Hash
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.in.Read(b)
	c.n += int64(n)
	c.hash.Write(b[:n])
	return n, err
}

// lines are those of a text, as it is or compressed.
type lines struct {
	raw    *counted
	zipped bool
	in     *bufio.Reader
	number int64 // of the line that was read last
	long   []byte
	back   [][]byte // lines that come again
}

func newLines(in io.Reader, zipped bool) (*lines, error) {
	l := &lines{raw: &counted{in: in, hash: sha256.New()}, zipped: zipped}
	if !zipped {
		l.in = bufio.NewReaderSize(l.raw, 64<<10)
		return l, nil
	}
	unzip, err := gzip.NewReader(bufio.NewReaderSize(l.raw, 64<<10))
	if err != nil {
		return nil, l.wrong(err)
	}
	l.in = bufio.NewReaderSize(unzip, 64<<10)
	return l, nil
}

func (l *lines) wrong(err error) error {
	switch {
	case l.zipped && (errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)):
		return errors.New("the file ends in the middle of its gzip stream: it was cut off")
	case l.zipped && (errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum)):
		return fmt.Errorf("the file is called .gz, and is no gzip stream or a damaged one: %w", err)
	}
	return fmt.Errorf("the file cannot be read: %w", err)
}

// line is the next one without its end, until the one after it is asked for. Of one that
// is too long nothing is kept.
func (l *lines) line() ([]byte, error) {
	l.number++
	if len(l.back) > 0 {
		b := l.back[0]
		l.back = l.back[1:]
		return b, nil
	}
	b, err := l.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		b, err = l.rest(b)
	}
	switch {
	case errors.Is(err, io.EOF) && len(b) == 0:
		return nil, io.EOF
	case err != nil && !errors.Is(err, io.EOF):
		return nil, l.wrong(err)
	case b == nil:
		return nil, &refused{fmt.Errorf("the line is longer than %d bytes", maxLine)}
	}
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	if l.number == 1 {
		return withoutBOM(b)
	}
	return b, nil
}

// rest reads on to the end of a long line; nil if that is too long.
func (l *lines) rest(b []byte) ([]byte, error) {
	l.long = append(l.long[:0], b...)
	for {
		part, err := l.in.ReadSlice('\n')
		if l.long != nil && len(l.long)+len(part) <= maxLine {
			l.long = append(l.long, part...)
		} else {
			l.long = nil
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && l.long == nil {
			err = nil // there was a line
		}
		return l.long, err
	}
}

// again has lines come once more that were read last.
func (l *lines) again(all [][]byte) {
	l.back = append(all, l.back...)
	l.number -= int64(len(all))
}

// withoutBOM drops the mark of UTF-8 from the first line, and refuses other ones.
func withoutBOM(b []byte) ([]byte, error) {
	if bytes.HasPrefix(b, []byte("\xff\xfe")) || bytes.HasPrefix(b, []byte("\xfe\xff")) {
		return nil, errors.New("the file is in UTF-16: convert it to UTF-8 first")
	}
	return bytes.TrimPrefix(b, []byte("\ufeff")), nil
}

func (l *lines) read() int64 { return l.raw.n }

func (l *lines) end(f *File) (bool, error) {
	if _, err := io.Copy(io.Discard, l.raw); err != nil {
		return false, l.wrong(err)
	}
	return [sha256.Size]byte(l.raw.hash.Sum(nil)) == f.digest, nil
}

func (l *lines) close() error { return nil }
