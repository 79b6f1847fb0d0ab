package directory

import (
	"context"
	"errors"
	"io"
	"strings"
)

// File is a Source that reads a map file: a name and what is known of it on each line. It looks for changes when it is
// asked, and keeps what it has when the new file has a mistake. It is safe for concurrent use.
//
//	# name              where
//	alice@example.org   db1
//	bob@example.org     server=mbx2
//	carol@example.org   database=db1 user=carol.new@example.org mode=master max_connections=5
//	dave@example.org    refuse has left the company
//	@example.net        db2
//	*                   db1
//
// A name is a user's, "@" and a domain for all of it, or "*" for everybody; the most exact counts.
type File struct{ file watched[map[string]line] }

// line is what a map file says of a name.
type line struct {
	entry  Entry
	refuse string
}

// OpenFile reads a map file. Mistakes are errors with file and line.
func OpenFile(o FileOptions) (*File, error) {
	f := &File{}
	if err := f.file.open(o, parseMap); err != nil {
		return nil, err
	}
	return f, nil
}

// Lookup implements Source.
func (f *File) Lookup(ctx context.Context, q Query) (Entry, error) {
	lines := f.file.now(ctx)
	names := [...]string{q.User, domainOf(q.User), "*"}
	for _, name := range names {
		if l, ok := lines[name]; ok && name != "" {
			if l.refuse != "" {
				return Entry{}, &RefusedError{Reason: l.refuse}
			}
			return l.entry, nil
		}
	}
	return Entry{}, ErrNotFound
}

// domainOf returns the "@" and what follows, or "".
func domainOf(user string) string {
	if at := strings.LastIndexByte(user, '@'); at >= 0 {
		return user[at:]
	}
	return ""
}

// parseMap reads a map file. Errors begin with the line's number.
func parseMap(r io.Reader) (map[string]line, error) { return parseLines(r, parseLine) }

// parseLine reads one line. The name is "" on one that says nothing.
func parseLine(text string) (name string, l line, err error) {
	name, rest, _ := strings.Cut(strings.TrimSpace(strings.ReplaceAll(text, "\t", " ")), " ")
	if name == "" || name[0] == '#' {
		return "", l, nil
	}
	name, rest = strings.ToLower(name), strings.TrimSpace(rest)
	if why, ok := strings.CutPrefix(rest, "refuse"); ok && (why == "" || why[0] == ' ') {
		if l.refuse = strings.TrimSpace(why); l.refuse == "" {
			l.refuse = "disabled"
		}
		return name, l, nil
	}
	for _, word := range strings.Fields(rest) {
		if err := l.entry.set(word); err != nil {
			return name, l, err
		}
	}
	if l.entry == (Entry{}) {
		return name, l, errors.New("the line says nothing about the name")
	}
	if l.entry.Database != "" && l.entry.Server != "" {
		return name, l, errors.New("the line has both a database and a server")
	}
	return name, l, nil
}

// set takes one word of a line, "database" or "key=value".
func (e *Entry) set(word string) error {
	key, value, ok := strings.Cut(word, "=")
	if !ok {
		key, value = "database", word
	}
	return e.Set(key, value)
}
