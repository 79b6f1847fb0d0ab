package replay

import (
	"bufio"
	"encoding/json"
	"io"
	"strconv"
	"time"
)

// line is a session in a file. Times are milliseconds.
type line struct {
	At         int64    `json:"at_ms"`
	User       int      `json:"user"`
	Open       bool     `json:"open,omitempty"`
	Operations []string `json:"operations"` // "OFFSET STEP STEP...": milliseconds since at_ms
}

// Write writes the file: a line of JSON for the header, and one for each session.
func (r *Recording) Write(w io.Writer) error {
	out := bufio.NewWriter(w)
	enc := json.NewEncoder(out)
	if err := enc.Encode(r.Header); err != nil {
		return err
	}
	for i := range r.Sessions {
		s := &r.Sessions[i]
		l := line{At: s.At.Milliseconds(), User: s.User, Open: s.Open, Operations: []string{}}
		for _, op := range s.Operations {
			text := strconv.FormatInt((op.At - s.At).Milliseconds(), 10)
			for _, step := range op.Steps {
				text += " " + step.String()
			}
			l.Operations = append(l.Operations, text)
		}
		if err := enc.Encode(l); err != nil {
			return err
		}
	}
	return out.Flush()
}

// millis converts milliseconds to a duration.
func millis(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
