package dashboards

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Grafana is a server to push boards to, through its HTTP API.
type Grafana struct {
	URL   string // e.g. http://127.0.0.1:3000
	Token string // of a service account that may write folders and boards
}

// Change is what a push did to one board.
type Change struct {
	Board   string `json:"board"`   // its uid
	What    string `json:"what"`    // created, updated or unchanged
	Version int    `json:"version"` // in Grafana's history of the board
	URL     string `json:"url"`
}

// Unreachable is an answer that could not be had: nobody listens, or what listens
// cannot say now.
type Unreachable struct{ error }

func (u Unreachable) Unwrap() error { return u.error }

// pushLimit bounds one request: a Grafana that answers later is of no use.
const pushLimit = 20 * time.Second

// Push makes the folder if it is not there, and creates or overwrites each board
// that differs, with a message for the board's history. What was done before an
// error stays, and is told.
func (g Grafana) Push(ctx context.Context, boards []Board, message string) ([]Change, error) {
	u, err := url.Parse(g.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the address of Grafana must be like http://127.0.0.1:3000")
	}
	if err := g.folder(ctx); err != nil {
		return nil, err
	}
	var out []Change
	for _, b := range boards {
		c, err := g.board(ctx, b, message)
		if err != nil {
			return out, fmt.Errorf("board %s: %w", b.ID(), err)
		}
		out = append(out, c)
	}
	return out, nil
}

// folder makes the folder unless it is seen. Of a folder that there is not, Grafana
// tells an Editor that access is denied, as nobody gave permissions on it; and of
// one that there is after all, that it was changed meanwhile or that its name is
// taken: the boards' own saving says whether it can be written to.
func (g Grafana) folder(ctx context.Context) error {
	status, err := g.call(ctx, http.MethodGet, "/api/folders/"+Folder, nil, nil)
	if status != http.StatusNotFound && status != http.StatusForbidden {
		return err
	}
	body := map[string]string{"uid": Folder, "title": FolderTitle}
	status, err = g.call(ctx, http.MethodPost, "/api/folders", body, nil)
	if err != nil && status != http.StatusConflict && status != http.StatusPreconditionFailed {
		return fmt.Errorf("folder %s not made: %w", Folder, err)
	}
	return nil
}

// stored is a board as Grafana gives it.
type stored struct {
	Dashboard map[string]any
	Meta      struct {
		FolderUID, URL string
		Version        int
	}
}

func (g Grafana) board(ctx context.Context, b Board, message string) (Change, error) {
	raw, err := b.JSON()
	if err != nil {
		return Change{}, err
	}
	mark := fingerprint(raw)
	c := Change{Board: b.ID(), What: "updated"}
	var there stored
	status, err := g.call(ctx, http.MethodGet, "/api/dashboards/uid/"+b.ID(), nil, &there)
	switch {
	case status == http.StatusNotFound:
		c.What = "created"
	case status == http.StatusForbidden: // as of folders: there is none, or it is not to be seen
	case err != nil:
		return c, err
	case there.Meta.FolderUID == Folder && (within(raw, there.Dashboard) || g.lastSaved(ctx, b.ID(), there.Meta.Version, mark)):
		return Change{b.ID(), "unchanged", there.Meta.Version, there.Meta.URL}, nil
	}
	var done struct {
		URL     string
		Version int
	}
	body := map[string]any{"dashboard": json.RawMessage(raw), "folderUid": Folder, "message": strings.TrimSpace(message + " " + mark), "overwrite": true}
	if _, err := g.call(ctx, http.MethodPost, "/api/dashboards/db", body, &done); err != nil {
		return c, err
	}
	if c.URL, c.Version = done.URL, done.Version; status == http.StatusForbidden && c.Version == 1 {
		c.What = "created"
	}
	return c, nil
}

// fingerprint names what a board says. It is in the message of the version.
func fingerprint(raw []byte) string {
	sum := sha256.Sum256(raw)
	return "(" + hex.EncodeToString(sum[:8]) + ")"
}

// lastSaved tells whether the version that is there was pushed with this mark. A
// newer Grafana brings boards to its own schema when they are read, so that what
// it answers cannot be compared with what was saved; its history can.
func (g Grafana) lastSaved(ctx context.Context, uid string, version int, mark string) bool {
	var raw json.RawMessage
	if _, err := g.call(ctx, http.MethodGet, "/api/dashboards/uid/"+uid+"/versions?limit=1", nil, &raw); err != nil {
		return false // the board is saved once more, and its history says so
	}
	type saved struct {
		Version int
		Message string
	}
	var wrapped struct{ Versions []saved } // from Grafana 11 on
	if json.Unmarshal(raw, &wrapped) != nil && json.Unmarshal(raw, &wrapped.Versions) != nil {
		return false
	}
	return slices.ContainsFunc(wrapped.Versions, func(s saved) bool { return s.Version == version && strings.HasSuffix(s.Message, mark) })
}

// within tells whether all that a board says is in what Grafana stored, which may
// have added what the board leaves open.
func within(ours []byte, theirs map[string]any) bool {
	var want map[string]any
	return json.Unmarshal(ours, &want) == nil && covers(theirs, want)
}

func covers(have, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		h, ok := have.(map[string]any)
		if !ok {
			return false
		}
		for k, v := range want {
			if x, there := h[k]; !there && v != nil || !covers(x, v) {
				return false
			}
		}
		return true
	case []any:
		h, ok := have.([]any)
		if !ok || len(h) != len(want) {
			return false
		}
		for i := range want {
			if !covers(h[i], want[i]) {
				return false
			}
		}
		return true
	}
	return have == want
}

// call makes a request and decodes its answer. The status is 0 if nobody answers.
func (g Grafana) call(ctx context.Context, method, path string, body, into any) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, pushLimit)
	defer cancel()
	var sent bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&sent).Encode(body); err != nil {
			return 0, err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(g.URL, "/")+path, &sent)
	if err != nil {
		return 0, err
	}
	req.Header.Set("Content-Type", "application/json")
	if g.Token != "" {
		req.Header.Set("Authorization", "Bearer "+g.Token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, Unreachable{fmt.Errorf("%w. Is Grafana running there?", err)}
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 16<<20))
	if err != nil {
		return res.StatusCode, Unreachable{fmt.Errorf("%s %s: %w", method, path, err)}
	}
	if res.StatusCode != http.StatusOK {
		return res.StatusCode, refusal(method, path, res, answer)
	}
	if into == nil {
		return res.StatusCode, nil
	}
	if err := json.Unmarshal(answer, into); err != nil {
		return res.StatusCode, fmt.Errorf("%s %s: the answer is no JSON: %w. Is it a Grafana?", method, path, err)
	}
	return res.StatusCode, nil
}

// refusal says what Grafana said, and what to do.
func refusal(method, path string, res *http.Response, answer []byte) error {
	var said struct{ Message, Status string }
	if json.Unmarshal(answer, &said) != nil || said.Message == "" {
		said.Message = res.Status
	}
	cure := ""
	switch {
	case res.StatusCode == http.StatusUnauthorized:
		cure = ": the token is missing, wrong or expired. Make one for a service account with the role Editor"
	case res.StatusCode == http.StatusForbidden:
		cure = ": the token's account may not do that. Give it the role Editor, or writing of folders and dashboards"
	case said.Status == "name-exists":
		cure = ": the folder has another board of the same title. Rename or delete that one"
	case said.Status == "version-mismatch":
		cure = ": somebody saves it at the same time. Push again"
	case said.Status == "plugin-dashboard":
		cure = ": the board belongs to a plugin. Remove it there"
	case strings.Contains(strings.ToLower(said.Message), "folder not found"):
		cure = ": there is none of the uid " + Folder + ", and none is made beside another folder of the title " + FolderTitle +
			". Rename that one, or give the token's account permission on it"
	case strings.Contains(said.Message, "provisioned"):
		cure = ": Grafana reads the board from files. Change the files (weir dashboards render), or take them away from it"
	}
	err := fmt.Errorf("%s %s: %s%s", method, path, said.Message, cure)
	if res.StatusCode == http.StatusTooManyRequests || res.StatusCode >= http.StatusInternalServerError {
		return Unreachable{err}
	}
	return err
}
