package config

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Address refuses what is no host:port. An empty host is every address of this
// machine; port 0 is a free one.
func Address(s string) error {
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		return errors.New("it is no address: write host:port, as 127.0.0.1:8080")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("its port %q is no number from 0 to 65535", port)
	} else if strconv.FormatUint(n, 10) != port || strings.ContainsAny(host, " /@?#") {
		return errors.New("it is no address: write host:port, as 127.0.0.1:8080")
	}
	return nil
}

// Elsewhere is the Address of a server elsewhere, which has a host and a port.
func Elsewhere(s string) error {
	err := Address(s)
	if host, port, _ := net.SplitHostPort(s); err == nil && (host == "" || port == "0") {
		err = errors.New("it names no host or no port: write host:port, as kafka:9092")
	}
	return err
}

// Web refuses what is no URL of a server that speaks HTTP. The error does not repeat
// it: it may hold a secret.
func Web(s string) error { return schemes(s, "http", "https") }

func schemes(s string, allowed ...string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || !slices.Contains(allowed, u.Scheme) {
		return fmt.Errorf("it is no URL that begins with %s:// and names a host", strings.Join(allowed, ":// or "))
	}
	if port := u.Port(); u.Hostname() == "" || strings.HasSuffix(u.Host, ":") || port != "" && Address("h:"+port) != nil {
		return errors.New("it is a URL without a host, or with a port that is none")
	}
	return nil
}

const masked = "xxxxx"

// String hides the secret; of a URL, all but what says where it leads: a key may
// stand in place of the user, in the path and in the query.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	u, err := url.Parse(string(s))
	if err != nil || u.Host == "" {
		return "***"
	}
	web := u.Scheme == "http" || u.Scheme == "https"
	user, path := "", u.EscapedPath()
	if u.User != nil {
		user = masked + "@"
		if _, has := u.User.Password(); has && !web && u.User.Username() != "" {
			user = url.PathEscape(u.User.Username()) + ":" + masked + "@"
		}
	}
	if len(path) > 1 && (web || strings.Count(path, "/") > 1) { // else it is a database
		path = "/" + masked
	}
	return u.Scheme + "://" + user + u.Host + path
}

// secrets are what may not be printed, with what is printed instead, since a
// configuration named them.
var secrets struct {
	sync.RWMutex
	with map[string]string
}

// Conceal has Hide know a secret.
func Conceal(all ...Secret) {
	secrets.Lock()
	defer secrets.Unlock()
	if secrets.with == nil {
		secrets.with = map[string]string{}
	}
	for _, s := range all {
		for part, shown := range s.parts() {
			secrets.with[part] = shown
		}
	}
}

// parts are the forms in which a secret may appear in an error, with what is to be
// there instead. What is so short that it may be any word is not among them by itself.
func (s Secret) parts() map[string]string {
	if s == "" || s.Reveal() == s.String() {
		return nil
	}
	out := map[string]string{}
	hide := func(parts ...string) {
		for _, p := range parts {
			if len(p) >= 6 {
				out[p] = masked
			}
		}
	}
	u, err := url.Parse(string(s))
	if err != nil || u.Host == "" {
		hide(string(s))
		return out
	}
	out[string(s)], out[u.Redacted()] = s.String(), s.String()
	if u.User != nil {
		out[u.User.String()+"@"] = masked + "@"
		password, _ := u.User.Password()
		hide(password, url.QueryEscape(password))
	}
	if web := u.Scheme == "http" || u.Scheme == "https"; web {
		hide(u.User.Username())
		hide(strings.Split(u.Path, "/")...)
		if len(u.EscapedPath()) > 1 {
			out[u.Host+u.EscapedPath()] = u.Host + "/" + masked
		}
	}
	for _, values := range u.Query() {
		hide(values...)
	}
	return out
}

// userOfURL is who a URL is of, with a password or without.
var userOfURL = regexp.MustCompile(`(://)[^/@\s"']+@`)

// Hide takes secrets out of a text.
func Hide(text string) string {
	secrets.RLock()
	defer secrets.RUnlock()
	var pairs []string
	for part := range secrets.with {
		pairs = append(pairs, part)
	}
	slices.SortFunc(pairs, func(a, b string) int { return len(b) - len(a) }) // the longest first: it holds the others
	for _, part := range pairs {
		text = strings.ReplaceAll(text, part, secrets.with[part])
	}
	return userOfURL.ReplaceAllStringFunc(text, func(found string) string {
		if strings.HasSuffix(found, ":"+masked+"@") {
			return found
		}
		return "://" + masked + "@"
	})
}

// Hiding writes what secrets were taken out of, write by write.
func Hiding(w io.Writer) io.Writer { return hiding{w} }

type hiding struct{ io.Writer }

func (h hiding) Write(b []byte) (int, error) {
	if _, err := io.WriteString(h.Writer, Hide(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}
