package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"portico/protolog"
)

// maxEvents is the highest number of events of one session.
const maxEvents = 100_000

// Collector collects the rows of protocol logs by session, in any order of files and nodes. Its memory is bounded: of
// too many sessions it keeps a random sample.
type Collector struct {
	sessions map[string]*gathered
	users    map[string]int // numbers in the order of appearance
	sample   sample
	events   int // of all sessions that are kept
	source   Source
}

// gathered holds the events of a session so far.
type gathered struct {
	user   int // -1 until it is known
	events []event
}

// event holds the relevant fields of a row.
type event struct {
	number uint32 // in its session
	took   uint32 // milliseconds
	end    int64  // Unix milliseconds
	step   Step
	signed bool // a user was signed in before it
}

// NewCollector returns a collector that keeps at most a number of sessions.
func NewCollector(maxSessions int) (*Collector, error) {
	if maxSessions < 1 || maxSessions > MaxSessions {
		return nil, fmt.Errorf("%d sessions: must be 1 to %d", maxSessions, MaxSessions)
	}
	return &Collector{
		sessions: make(map[string]*gathered), users: make(map[string]int),
		sample: newSample(maxSessions, MaxSteps), source: Source{Noops: make(map[string]int)},
	}, nil
}

// Add reads a log as CSV or JSON, which may be compressed with gzip. It counts lines that it cannot read.
func (c *Collector) Add(ctx context.Context, r io.Reader) error {
	in, err := Plain(r)
	if err != nil {
		c.source.Damaged++
		return nil
	}
	lines := bufio.NewReaderSize(in, protolog.MaxRow)
	for ctx.Err() == nil {
		line, err := lines.ReadSlice('\n')
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			err = passLine(lines)
			c.source.Damaged++
		case len(line) > 0:
			c.line(bytes.TrimRight(line, "\r\n"))
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF), isCorrupt(err): // a compressed file that was cut off or damaged
			c.source.Damaged++
			return nil
		case err != nil:
			return err
		}
	}
	return ctx.Err()
}

// passLine skips the rest of a line.
func passLine(lines *bufio.Reader) error {
	for {
		if _, err := lines.ReadSlice('\n'); !errors.Is(err, bufio.ErrBufferFull) {
			return err
		}
	}
}

// line processes one line of a log.
func (c *Collector) line(line []byte) {
	switch {
	case len(line) == 0:
		return
	case bytes.HasPrefix(line, []byte("#")), bytes.HasPrefix(line, []byte(`{"lost":`)):
		c.source.Lost += lostRows(line)
		return
	case bytes.HasPrefix(line, []byte(protolog.Fields[0]+",")): // a heading without the mark, as log show prints it
		return
	}
	row, err := protolog.ParseRow(line)
	if err != nil || !c.row(&row) {
		c.source.Damaged++
		return
	}
	c.source.Rows++
}

// lostRows reads how many rows the log says are missing.
func lostRows(line []byte) int {
	_, rest, found := bytes.Cut(line, []byte("#Lost: "))
	if !found {
		_, rest, found = bytes.Cut(line, []byte(`{"lost":`))
	}
	digits := bytes.TrimLeft(rest, "0123456789")
	n, err := strconv.Atoi(string(rest[:len(rest)-len(digits)]))
	if !found || err != nil {
		return 0
	}
	return n
}

// row processes a row. It returns false if its fields are not those of a log.
func (c *Collector) row(row *protolog.Row) bool {
	at, err1 := time.Parse(time.RFC3339, row[0])
	number, err2 := strconv.ParseUint(row[2], 10, 32)
	took, err3 := strconv.ParseUint(row[6], 10, 32)
	_, err4 := strconv.ParseUint(row[7], 10, 64)
	_, err5 := strconv.ParseUint(row[8], 10, 64)
	if errors.Join(err1, err2, err3, err4, err5) != nil || !isSessionID(row[1]) {
		return false
	}
	e := event{number: uint32(number), took: uint32(took), end: at.UnixMilli(), signed: row[5] != ""}
	switch command := row[9]; {
	case command == protolog.OpenSession, command == protolog.Proxy:
		return true
	case command == protolog.CloseSession:
		e.step = Step{Verb: Drop}
	case command == "" || strings.ToLower(command) != command:
		return false
	default:
		e.step = commandOf(row)
	}
	if e.step.Verb == SignIn {
		if !accepted(row[11]) {
			c.source.RefusedSignIn++
			return true
		}
		e.signed = true
	}
	if s := c.session(row[1]); s != nil {
		c.keep(s, e, row)
	}
	return true
}

// isSessionID reports whether a text is one of the log's.
func isSessionID(id string) bool {
	return len(id) == 16 && strings.Trim(id, "0123456789abcdef") == ""
}

// session returns the events of a session, nil if the session is left out.
func (c *Collector) session(id string) *gathered {
	if !c.sample.takes(id) {
		return nil
	}
	s := c.sessions[id]
	if s == nil {
		s = &gathered{user: -1}
		c.sessions[strings.Clone(id)] = s
	}
	for c.sample.full(len(c.sessions), c.events) {
		c.sample.halve()
		for id, s := range c.sessions {
			if !c.sample.takes(id) {
				c.events -= len(s.events)
				delete(c.sessions, id)
			}
		}
	}
	return c.sessions[id]
}

// keep adds an event to its session.
func (c *Collector) keep(s *gathered, e event, row *protolog.Row) {
	if len(s.events) == maxEvents {
		c.source.CutShort++
		return
	}
	if e.step.Verb == Other {
		c.source.Noops[knownCommand(row[9])]++
	}
	s.events = append(s.events, e)
	c.events++
	if s.user < 0 && row[5] != "" {
		user, known := c.users[row[5]]
		if !known {
			user = len(c.users)
			c.users[strings.Clone(row[5])] = user
		}
		s.user = user
	}
}
