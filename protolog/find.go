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
	"os"
	"path/filepath"
	"strings"
)

// maxRow bounds a row of a file, in bytes. What is longer was not written by us.
const maxRow = 64 << 10

// find yields the rows of a session in a folder's files, the oldest first, in the format wanted, whatever that of the files. Rows are valid
// during the call.
func find(ctx context.Context, dir, session string, f Format, yield func(row []byte) error) error {
	all, err := listFiles(dir)
	if err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	for _, name := range all {
		if err := findIn(ctx, filepath.Join(dir, name.String()), name.gz, session, f, yield); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func findIn(ctx context.Context, path string, gz bool, session string, f Format, yield func(row []byte) error) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
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
	lines.Buffer(make([]byte, 0, 4<<10), maxRow)
	var out []byte
	for lines.Scan() {
		if err := ctx.Err(); err != nil {
			return err
		}
		line := lines.Bytes()
		if !bytes.Contains(line, []byte(session)) {
			continue
		}
		row, err := ParseRow(line)
		if err != nil || row[1] != session {
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
