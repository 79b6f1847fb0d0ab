package replay

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
)

// mark is the beginning of a file.
var mark = []byte(`{"portico_recording":`)

// IsRecording reports whether a text begins as a recording does.
func IsRecording(text []byte) bool { return bytes.HasPrefix(text, mark) }

// Plain returns the content of r, which may be compressed with gzip.
func Plain(r io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if head, err := in.Peek(2); err != nil || head[0] != 0x1f || head[1] != 0x8b {
		return in, nil
	}
	return gzip.NewReader(in)
}

// Read reads and checks a file, which may be compressed with gzip.
func Read(r io.Reader) (*Recording, error) {
	lines, err := newLines(r)
	if err != nil {
		return nil, err
	}
	rec := &Recording{}
	if rec.Header, err = lines.header(); err != nil {
		return nil, err
	}
	steps := 0
	for lines.next() {
		s, n, err := lines.session(&rec.Header)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", lines.number, err)
		}
		rec.Sessions = append(rec.Sessions, s)
		if steps += n; steps > MaxSteps || len(rec.Sessions) > rec.Header.Sessions {
			return nil, fmt.Errorf("line %d: more sessions than the %d of the first line, or more than %d steps",
				lines.number, rec.Header.Sessions, MaxSteps)
		}
	}
	if err := lines.scan.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", lines.number+1, err)
	}
	if len(rec.Sessions) != rec.Header.Sessions || steps != rec.Commands {
		return nil, fmt.Errorf("the file ends after %d of %d sessions and %d of %d commands: it is incomplete",
			len(rec.Sessions), rec.Header.Sessions, steps, rec.Commands)
	}
	rec.Digest = fmt.Sprintf("%x", lines.sum.Sum(nil)[:6])
	return rec, nil
}

// ReadHeader reads only the first line.
func ReadHeader(r io.Reader) (Header, error) {
	lines, err := newLines(r)
	if err != nil {
		return Header{}, err
	}
	return lines.header()
}

// lines reads line by line.
type lines struct {
	scan   *bufio.Scanner
	number int
	sum    interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func newLines(r io.Reader) (*lines, error) {
	plain, err := Plain(r)
	if err != nil {
		return nil, err
	}
	l := &lines{scan: bufio.NewScanner(plain), sum: sha256.New()}
	l.scan.Buffer(make([]byte, 0, 64<<10), maxLine)
	return l, nil
}

func (l *lines) next() bool {
	if !l.scan.Scan() {
		return false
	}
	l.number++
	l.sum.Write(l.scan.Bytes())
	return true
}

// header reads and checks the first line.
func (l *lines) header() (h Header, err error) {
	if !l.next() || !IsRecording(l.scan.Bytes()) {
		return h, errors.Join(errors.New("not a recording: portico bench profile from-log makes one"), l.scan.Err())
	}
	var version struct {
		Version int `json:"portico_recording"`
	}
	if err := json.Unmarshal(l.scan.Bytes(), &version); err != nil {
		return h, fmt.Errorf("line 1: %w", err)
	}
	if version.Version != Version {
		return h, fmt.Errorf("the format has version %d, and this program reads %d: create the file with this program",
			version.Version, Version)
	}
	if err := strict(l.scan.Bytes(), &h); err != nil {
		return h, fmt.Errorf("line 1: %w", err)
	}
	return h, h.check()
}

func (h *Header) check() error {
	switch {
	case h.Sessions < 1 || h.Sessions > MaxSessions:
		return fmt.Errorf("line 1: %d sessions: must be 1 to %d", h.Sessions, MaxSessions)
	case h.Users < 1 || h.Users > maxUsers:
		return fmt.Errorf("line 1: %d users: must be 1 to %d", h.Users, maxUsers)
	case !(h.Seconds > 0 && h.Seconds <= MaxSpan.Seconds()):
		return fmt.Errorf("line 1: %v seconds: must be more than 0 and at most %v", h.Seconds, MaxSpan.Seconds())
	}
	return nil
}

// session reads and checks a session. n is the number of its steps.
func (l *lines) session(h *Header) (s Session, n int, err error) {
	var text line
	if err := strict(l.scan.Bytes(), &text); err != nil {
		return s, 0, err
	}
	most := int64(math.Ceil(h.Seconds * 1000))
	idle := len(text.Operations) == 0 && !text.Open
	if text.At < 0 || text.At > most || text.User < 0 || text.User >= h.Users || idle {
		return s, 0, fmt.Errorf("needs at_ms of 0 to %d, a user of 0 to %d, and operations", most, h.Users-1)
	}
	s = Session{At: millis(text.At), User: text.User, Open: text.Open}
	last := text.At
	for i, op := range text.Operations {
		words := strings.Split(op, " ")
		offset, err := strconv.ParseInt(words[0], 10, 64)
		at := text.At + offset
		if err != nil || offset < 0 || at < last || at > most || len(words) < 2 {
			return s, 0, fmt.Errorf("operation %d: needs milliseconds in ascending order, and steps: %.40q", i+1, op)
		}
		last = at
		steps := make([]Step, len(words)-1)
		for j, word := range words[1:] {
			if err := steps[j].UnmarshalText([]byte(word)); err != nil {
				return s, 0, fmt.Errorf("operation %d: %w", i+1, err)
			}
		}
		s.Operations, n = append(s.Operations, Operation{millis(at), steps}), n+len(steps)
	}
	return s, n, nil
}

// strict reads one JSON value without unknown fields.
func strict(text []byte, value any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(value); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("unexpected text after the line's value")
	}
	return nil
}
