package replay

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Limits of a recording.
const (
	MaxSessions = 50_000
	MaxSteps    = 2_000_000
	MaxSpan     = 24 * time.Hour
	maxUsers    = 10_000_000
	maxLine     = 16 << 20 // bytes of one session in a file
)

// Version is the version of the file's format.
const Version = 1

// Recording holds what sessions did. It is read-only after reading.
type Recording struct {
	Header
	Sessions []Session
	Digest   string // of the file's content
}

// Header is the first line of a file.
type Header struct {
	Version   int       `json:"portico_recording"`
	From      time.Time `json:"from"`    // when the first session was first seen
	Seconds   float64   `json:"seconds"` // from then to the last event
	Sessions  int       `json:"sessions"`
	Users     int       `json:"users"` // that they belong to
	Open      int       `json:"open_at_start"`
	SignIns   int       `json:"sign_ins"`
	PerSecond float64   `json:"sign_ins_per_second"`
	AtOnce    float64   `json:"sessions_at_once"` // on average
	Median    float64   `json:"median_session_s"` // of sessions whose beginning and end were seen; 0 if there are none
	Commands  int       `json:"commands"`         // steps of all sessions
	Source    Source    `json:"source"`
	Profile   Profile   `json:"profile"`
}

// Source counts the rows of the protocol log, and those that were left out.
type Source struct {
	Rows          int            `json:"rows"`              // read
	Damaged       int            `json:"damaged"`           // lines that are no rows
	Lost          int            `json:"lost"`              // rows that the log itself says are missing
	Repeated      int            `json:"repeated"`          // rows that came twice
	LeftOut       int            `json:"sessions_left_out"` // about how many, beyond the limit
	CutShort      int            `json:"commands_left_out"` // of sessions with too many
	NoSignIn      int            `json:"sessions_without_sign_in"`
	RefusedSignIn int            `json:"sign_ins_refused"`
	Noops         map[string]int `json:"played_as_noop,omitempty"` // by command
}

// Profile is a profile as files of profiles have it: the commands of all sessions without their times.
type Profile struct {
	Description string  `json:"description"`
	PerSession  float64 `json:"per_session"` // commands a second of each session
	Commands    Mix     `json:"commands"`
}

// Mix is commands with their frequencies.
type Mix struct {
	Mix []Weighted `json:"mix" yaml:"mix"`
}

// Weighted is a command with its frequency.
type Weighted struct {
	Do     Step    `json:"do" yaml:"do"`
	Weight float64 `json:"weight" yaml:"weight"`
}

// Session holds what one session did.
type Session struct {
	At         time.Duration // since the recording began
	User       int           // from 0
	Open       bool          // it was signed in when the recording began
	Operations []Operation
}

// Operation is a series of commands without pauses. Times have milliseconds.
type Operation struct {
	At    time.Duration // since the recording began
	Steps []Step        // at least one
}

// Span returns the duration of the recording.
func (r *Recording) Span() time.Duration { return time.Duration(r.Seconds * float64(time.Second)) }

// Operations returns the number of operations.
func (r *Recording) Operations() (n int) {
	for i := range r.Sessions {
		n += len(r.Sessions[i].Operations)
	}
	return n
}

// Steps calls each for every step.
func (r *Recording) Steps(each func(Step)) {
	for i := range r.Sessions {
		for _, op := range r.Sessions[i].Operations {
			for _, step := range op.Steps {
				each(step)
			}
		}
	}
}

// Lines says what the recording leaves out, with a line for each reason.
func (s *Source) Lines() []string {
	var all []string
	for _, reason := range []struct {
		n    int
		text string
	}{
		{s.LeftOut, "sessions left out at random, as there were too many (an estimate)"},
		{s.CutShort, "commands left out, of sessions with more than 100000"},
		{s.NoSignIn, "sessions left out that did not sign in"},
		{s.RefusedSignIn, "refused sign-ins left out"},
		{s.Damaged, "damaged lines left out"},
		{s.Lost, "rows missing, as the log says"},
		{s.Repeated, "rows that came twice"},
	} {
		if reason.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", reason.n, reason.text))
		}
	}
	for _, command := range slices.Sorted(maps.Keys(s.Noops)) {
		all = append(all, fmt.Sprintf("%d %s played as NOOP", s.Noops[command], strings.ToUpper(command)))
	}
	return all
}

// Summary describes the recording and what it leaves out.
func (r *Recording) Summary() []string {
	first := fmt.Sprintf("%d sessions of %d users in %v: %d open at the start, %d sign-ins (%.2f a second), "+
		"%d commands",
		len(r.Sessions), r.Users, r.Span().Round(time.Millisecond), r.Open, r.SignIns, r.PerSecond, r.Commands)
	return append([]string{first}, r.Source.Lines()...)
}
