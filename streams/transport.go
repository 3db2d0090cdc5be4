package streams

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/smtp"
	"net/textproto"
	"strings"
)

// maxAnswer bounds how much of an endpoint's answer is read, in bytes.
const maxAnswer = 1 << 20

// HTTPTransport reaches endpoints by name. Its zero value reaches none.
type HTTPTransport struct {
	Client    *http.Client      // nil: http.DefaultClient's transport, no cookies
	Addresses map[string]string // endpoint -> "http://127.0.0.1:9101"
}

// StatusError is an answer that says nothing definite: the call is made again.
type StatusError struct {
	Endpoint string
	Status   int
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s answered %d %s: in doubt, asking again", e.Endpoint, e.Status, http.StatusText(e.Status))
}

func (t HTTPTransport) do(ctx context.Context, endpoint, key string, r HTTPRequest) (HTTPResponse, error) {
	base, ok := t.Addresses[endpoint]
	if !ok {
		return HTTPResponse{}, notAsked(fmt.Errorf("no address for endpoint %q: configure one", endpoint))
	}
	var body io.Reader
	if r.Body != nil {
		b, err := json.Marshal(r.Body)
		if err != nil {
			return HTTPResponse{}, notAsked(fmt.Errorf("request to %s cannot be encoded: %w", endpoint, err))
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, r.Method, strings.TrimSuffix(base, "/")+r.Path, body)
	if err != nil {
		return HTTPResponse{}, notAsked(fmt.Errorf("request to %s: %w", endpoint, err))
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", key)
	if tp := traceparentFrom(ctx); tp != "" {
		req.Header.Set(headerTrace, tp)
	}
	client := t.Client
	if client == nil {
		client = &http.Client{}
	}
	res, err := client.Do(req)
	if err != nil {
		return HTTPResponse{}, fmt.Errorf("call of %s: %w", endpoint, err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer+1))
	if err != nil {
		return HTTPResponse{}, fmt.Errorf("answer of %s: %w", endpoint, err)
	}
	switch c := res.StatusCode; {
	case c >= 500, c == http.StatusRequestTimeout, c == http.StatusTooEarly, c == http.StatusTooManyRequests:
		return HTTPResponse{}, &StatusError{endpoint, c}
	}
	if len(b) > maxAnswer {
		return HTTPResponse{}, Unusable(fmt.Errorf("answer of %s is longer than %d bytes", endpoint, maxAnswer))
	}
	return HTTPResponse{res.StatusCode, b}, nil
}

// SMTPTransport reaches mail relays by name. Its zero value reaches none.
type SMTPTransport struct {
	Dial      func(ctx context.Context, network, address string) (net.Conn, error) // nil: TCP
	Addresses map[string]string                                                    // endpoint -> "127.0.0.1:9103"
}

// smtpLeaving is what a relay says that closes: it concerns every mail.
const smtpLeaving = 421

func (t SMTPTransport) send(ctx context.Context, endpoint, key string, m Message) (MailOutcome, error) {
	addr, ok := t.Addresses[endpoint]
	if !ok {
		return MailOutcome{}, notAsked(fmt.Errorf("no address for endpoint %q: configure one", endpoint))
	}
	if strings.ContainsAny(m.From+m.To, "\r\n") {
		return MailOutcome{}, notAsked(fmt.Errorf("mail from %q to %q: an address has no line ends", m.From, m.To))
	}
	dial := t.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	conn, err := dial(ctx, "tcp", addr)
	if err != nil {
		return MailOutcome{}, fmt.Errorf("mail relay %s: %w", endpoint, err)
	}
	defer conn.Close()
	if d, ok := ctx.Deadline(); ok {
		_ = conn.SetDeadline(d) // a connection that takes no deadline is still closed on return
	}
	host, _, _ := strings.Cut(addr, ":")
	err = deliver(conn, host, key, m)
	var proto *textproto.Error
	if errors.As(err, &proto) && proto.Code >= 500 && proto.Code < 600 {
		return MailOutcome{Reason: proto.Msg}, nil
	}
	if proto != nil && proto.Code >= 400 && proto.Code < 500 && proto.Code != smtpLeaving {
		return MailOutcome{}, Unusable(fmt.Errorf("mail relay %s does not take this mail yet: %w", endpoint, err))
	}
	if err != nil {
		return MailOutcome{}, fmt.Errorf("mail relay %s: %w", endpoint, err)
	}
	return MailOutcome{Accepted: true}, nil
}

func deliver(conn net.Conn, host, key string, m Message) error {
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	if err = c.Mail(m.From); err != nil {
		return err
	}
	if err = c.Rcpt(m.To); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err = w.Write(m.render(key)); err != nil {
		return err
	}
	if err = w.Close(); err != nil { // the relay has it from here on
		return err
	}
	_ = c.Quit() // the mail is delivered, whatever becomes of the farewell
	return nil
}

// render writes the mail; line ends inside header values would forge headers.
func (m Message) render(key string) []byte {
	clean := strings.NewReplacer("\r", " ", "\n", " ")
	sum := sha256.Sum256([]byte(key))
	var b bytes.Buffer
	fmt.Fprintf(&b, "From: %s\r\nTo: %s\r\nSubject: %s\r\nMessage-ID: <%s@weir>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n",
		clean.Replace(m.From), clean.Replace(m.To), mime.QEncoding.Encode("utf-8", clean.Replace(m.Subject)), hex.EncodeToString(sum[:16]))
	b.WriteString(strings.ReplaceAll(strings.ReplaceAll(m.Text, "\r\n", "\n"), "\n", "\r\n"))
	return b.Bytes()
}

type traceKey struct{}

func withTraceparent(ctx context.Context, tp string) context.Context {
	return context.WithValue(ctx, traceKey{}, tp)
}

func traceparentFrom(ctx context.Context) string {
	tp, _ := ctx.Value(traceKey{}).(string)
	return tp
}
