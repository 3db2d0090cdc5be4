package cli

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// render writes files and says so.
func render(c *cobra.Command, r rendering, files map[string][]byte) error {
	notes, err := r.write(files)
	for _, note := range notes {
		fmt.Fprintln(c.ErrOrStderr(), note)
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.OutOrStdout(), "%d files in %s\n", len(files), r.dir)
	return err
}

// rendering is a directory that a command renders files into, beside what others
// have there. What it wrote stands in a manifest, with digests as sha256sum has
// them: nothing else is ever removed.
type rendering struct {
	dir      string
	manifest string // its name in dir
}

// written is what an earlier rendering wrote: digests by slash-separated paths.
func (r rendering) written() (map[string]string, error) {
	b, err := os.ReadFile(filepath.Join(r.dir, r.manifest))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	out := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		// A path that leads out of the directory was written by nobody here.
		if digest, name, ok := strings.Cut(lines.Text(), "  "); ok && filepath.IsLocal(filepath.FromSlash(name)) {
			out[name] = digest
		}
	}
	return out, nil
}

// stale are the files that an earlier rendering wrote, and this one does not.
func (r rendering) stale(files map[string][]byte) (out []string, err error) {
	written, err := r.written()
	for _, name := range slices.Sorted(maps.Keys(written)) {
		if _, is := files[name]; !is {
			if _, missing := os.Lstat(r.path(name)); missing == nil && !r.throughLink(name) {
				out = append(out, name)
			}
		}
	}
	return out, err
}

// throughLink tells whether a folder on the way to a file has become a link: what is
// behind it is not what was written.
func (r rendering) throughLink(name string) bool {
	parts := strings.Split(name, "/")
	for i := 1; i < len(parts); i++ {
		if info, err := os.Lstat(r.path(strings.Join(parts[:i], "/"))); err != nil || !info.IsDir() {
			return true
		}
	}
	return false
}

func (r rendering) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

// write makes the directory say what files say. Until all of it is on the disk,
// nothing that is there is touched. It returns what a person should know.
func (r rendering) write(files map[string][]byte) (notes []string, err error) {
	written, err := r.written()
	if err != nil {
		return nil, err
	}
	fresh := map[string]string{} // temporary files by their names
	defer func() {
		for _, temporary := range fresh {
			_ = os.Remove(temporary) // those that were renamed are gone
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if fresh[name], err = r.prepare(name, files[name]); err != nil {
			return nil, err
		}
	}
	stale, err := r.stale(files)
	if err != nil {
		return nil, err
	}
	if err := r.sign(files, written); err != nil { // first: a rendering that is cut off has to know its own next time
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		note, err := r.put(name, fresh[name], files[name], written[name] != "")
		if err != nil {
			return notes, err
		}
		notes = append(notes, note...)
	}
	for _, name := range stale {
		note, err := r.remove(name, written[name])
		if err != nil {
			return notes, err
		}
		notes = append(notes, note...)
	}
	return notes, r.sign(files, nil)
}

// prepare writes a file's text beside its place.
func (r rendering) prepare(name string, text []byte) (string, error) {
	if err := r.makeFolders(name); err != nil {
		return "", err
	}
	path := r.path(name)
	if info, err := os.Lstat(path); err == nil && info.IsDir() {
		return "", fmt.Errorf("%s is a directory, and a file of that name is to be written: move it away", path)
	}
	return besides(path, text)
}

// makeFolders makes the folders of a file. A link in the place of one is replaced:
// what it leads to is somebody else's.
func (r rendering) makeFolders(name string) error {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	parts := strings.Split(name, "/")
	for i := 1; i < len(parts); i++ {
		folder := r.path(strings.Join(parts[:i], "/"))
		if info, err := os.Lstat(folder); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			if err := os.Remove(folder); err != nil {
				return err
			}
		}
		if err := os.Mkdir(folder, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}

// besides writes text into a new file in the folder of path.
func besides(path string, text []byte) (temporary string, err error) {
	temporary = fmt.Sprintf("%s.%d.new", path, os.Getpid())
	f, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", err
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return "", errors.Join(err, os.Remove(temporary))
	}
	return temporary, nil
}

// put moves a file to its place. A link there is replaced; a file that is not ours,
// and says something else, is kept under another name.
func (r rendering) put(name, temporary string, text []byte, ours bool) (notes []string, err error) {
	path := r.path(name)
	if info, missing := os.Lstat(path); missing == nil && info.Mode().IsRegular() && !ours {
		have, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(have, text) {
			kept := path + ".orig"
			if _, err := os.Lstat(kept); err == nil {
				return nil, fmt.Errorf("%s was not written by a render, and %s is there already: move one of them away", path, kept)
			}
			if err := os.Rename(path, kept); err != nil {
				return nil, err
			}
			notes = append(notes, fmt.Sprintf("%s was not written by a render: it is kept as %s", path, kept))
		}
	}
	return notes, os.Rename(temporary, path)
}

// remove removes what an earlier rendering wrote, if it still says that.
func (r rendering) remove(name, digest string) ([]string, error) {
	path := r.path(name)
	have, err := os.ReadFile(path)
	if info, missing := os.Lstat(path); missing == nil && !info.Mode().IsRegular() || err != nil || sum(have) != digest {
		return []string{fmt.Sprintf("%s is not rendered any more, and was changed since it was: it is left there", path)}, nil
	}
	return nil, os.Remove(path)
}

// sign writes the manifest: these files, and others that were written before.
func (r rendering) sign(files map[string][]byte, before map[string]string) error {
	all := maps.Clone(before)
	if all == nil {
		all = map[string]string{}
	}
	for name, text := range files {
		all[name] = sum(text)
	}
	var b bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(all)) {
		fmt.Fprintf(&b, "%s  %s\n", all[name], name)
	}
	return replaceFile(filepath.Join(r.dir, r.manifest), b.Bytes())
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// replaceFile writes a file as a whole or not at all, and follows no link.
func replaceFile(path string, text []byte) error {
	temporary, err := besides(path, text)
	if err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return errors.Join(err, os.Remove(temporary))
	}
	return nil
}
