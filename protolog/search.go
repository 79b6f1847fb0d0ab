package protolog

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"portico/proxy/wire"
)

// MaxRow bounds a row of a file, in bytes. Portico writes no longer ones.
const MaxRow = 64 << 10

// Search says which rows of the files are wanted: those between two times that fit the filter.
type Search struct {
	Filter
	From, To time.Time // zero for no bound
}

// search is a compiled Search.
type search struct {
	filter
	from, to string    // as rows have it; "" for no bound
	since    time.Time // files that nobody has written to since then have nothing
	users    []string  // the user as rows may have it; none for a pattern
}

// compile checks a search. hash returns a user's name as rows with hashed names have it.
func (q Search) compile(hash func(user string) string) (s search, err error) {
	s.filter, err = q.Filter.compile()
	s.since = q.From
	if !q.From.IsZero() {
		s.from = q.From.UTC().Format(timeForm)
	}
	if !q.To.IsZero() {
		s.to = q.To.UTC().Format(timeForm)
	}
	if q.User != "" && !strings.ContainsAny(q.User, "*?") {
		s.users = []string{wire.Visible(q.User), hash(q.User)}
	}
	return s, err
}

// fits says whether a row is wanted.
func (s *search) fits(row *Row) bool {
	took, _ := strconv.ParseInt(row[6], 10, 64)
	return row[0] >= s.from && (s.to == "" || row[0] < s.to) && (s.Session == "" || row[1] == s.Session) &&
		s.fitsUser(row[5]) &&
		(s.Server == "" || mailboxServer(row[11]) == s.Server) && s.fitsClient(row[4]) &&
		s.wants(row[9], time.Duration(took)*time.Millisecond)
}

func (s *search) fitsUser(user string) bool {
	switch {
	case s.User == "":
		return true
	case s.users != nil:
		return slices.Contains(s.users, user)
	}
	return user != "" && Glob(s.User, strings.ToLower(user))
}

func (s *search) fitsClient(client string) bool {
	if !s.network.IsValid() {
		return true
	}
	addr, err := netip.ParseAddrPort(client)
	return err == nil && Covers(s.network, addr.Addr())
}

// mailboxServer returns the mailbox server in a row's context; see appendContext.
func mailboxServer(context string) string {
	_, rest, ok := strings.Cut(context, "_Mbx:")
	if !ok {
		return ""
	}
	server, _, _ := strings.Cut(rest, ";")
	return server
}

// find yields the wanted rows of a folder's files, the oldest first, in the format f, whatever the format of the files.
// A row is valid only during the call of yield.
func find(ctx context.Context, dir string, s search, f Format, yield func(row []byte) error) error {
	all, err := listFiles(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, name := range all {
		if err := findIn(ctx, filepath.Join(dir, name.String()), name.gz, s, f, yield); err != nil &&
			!errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func findIn(ctx context.Context, path string, gz bool, s search, f Format, yield func(row []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.ModTime().Before(s.since) {
		return nil
	}
	var in io.Reader = file
	if gz {
		z, err := gzip.NewReader(file)
		if err != nil {
			return err
		}
		defer z.Close()
		in = z
	}
	lines := bufio.NewScanner(in)
	lines.Buffer(make([]byte, 0, 4<<10), MaxRow)
	var out []byte
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		line := lines.Bytes()
		if bytes.HasPrefix(line, []byte("#")) { // names the fields
			continue
		}
		if s.Session != "" && !bytes.Contains(line, []byte(s.Session)) { // most lines of a large file
			continue
		}
		row, err := ParseRow(line)
		if err != nil || !s.fits(&row) {
			continue
		}
		out = row.Append(out[:0], f)
		if err := yield(out); err != nil {
			return err
		}
	}
	return lines.Err()
}

// Row is a row's fields, in the order of Fields.
type Row [numFields]string

// ParseRow reads a row of either format, without its line end.
func ParseRow(line []byte) (row Row, err error) {
	if !bytes.HasPrefix(line, []byte("{")) {
		r := csv.NewReader(bytes.NewReader(line))
		r.FieldsPerRecord = numFields
		fields, err := r.Read()
		copy(row[:], fields)
		return row, err
	}
	var fields map[string]any
	d := json.NewDecoder(bytes.NewReader(line))
	d.UseNumber()
	if err := d.Decode(&fields); err != nil {
		return row, err
	}
	for i, name := range Fields {
		value, ok := fields[name]
		if !ok {
			return row, fmt.Errorf("no field %s", name)
		}
		row[i] = fmt.Sprint(value)
	}
	return row, nil
}

// Append appends the row in a format, line end included.
func (r *Row) Append(dst []byte, f Format) []byte {
	for i, text := range r {
		dst = appendField(appendBefore(dst, f, i), f, i, []byte(text))
	}
	return appendEnd(dst, f)
}

// Heading is the line that names the fields of CSV.
func Heading() string { return "#Fields: " + strings.Join(Fields[:], ",") + "\n" }
