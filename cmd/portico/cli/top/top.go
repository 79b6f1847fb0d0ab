// Package top shows a running Portico on a whole terminal, as top does for processes: mailbox servers, IMAP commands,
// users and sessions, with keys to sort, filter, look into a session, and act.
//
// A Source reads what is shown and does what is asked for; the package does not know how. model.go has the state,
// keys.go what keys do, screen.go the lines of the screen, and rows.go the rows of each view.
package top

import (
	"context"
	"errors"
	"io"
	"time"

	tea "charm.land/bubbletea/v2"

	"portico/health/admin"
)

// Source is the Portico that is shown, or all of a site.
type Source interface {
	// Read reads what the screen shows, with the sessions that a query asks for; nil asks for none. The query's limit
	// is for all nodes together.
	Read(ctx context.Context, sessions *admin.SessionQuery) (Snapshot, error)
	// Do does something, and returns in words what was done.
	Do(ctx context.Context, a Action) (done string, err error)
}

// Snapshot is what a Source has read.
type Snapshot struct {
	Node     string               `json:"node"`
	Missing  []string             `json:"missing,omitempty"` // nodes that did not answer, each with the reason
	Trend    admin.StatsSeries    `json:"trend"`             // of the last minutes, by listener, with buckets
	Servers  admin.StatsFigures   `json:"servers"`           // by mailbox server, of the last seconds
	Verbs    admin.StatsFigures   `json:"verbs"`             // by verb, of the last minute
	States   []admin.ServerState  `json:"states"`
	Sessions []admin.SessionState `json:"sessions"`
}

// Action is something to do, for one session, all sessions of a user, or a mailbox server.
type Action struct {
	Kind    ActionKind
	Session string
	User    string
	Server  string
}

// ActionKind is a kind of action.
type ActionKind uint8

// The actions.
const (
	Kick   ActionKind = iota // end the session, or the user's sessions
	Log                      // switch the protocol log on for the user, for LogTime
	Pause                    // hold sign-ins to the server, for PauseTime
	Resume                   // end the pause
)

// How long actions last.
const (
	LogTime   = 10 * time.Minute
	PauseTime = time.Minute
)

// Options are what the screen shows and where.
type Options struct {
	Source   Source
	In       io.Reader // keys
	Out      io.Writer // the terminal
	ASCII    bool      // the terminal does not use UTF-8
	Interval time.Duration
	Now      func() time.Time
}

// framesPerSecond is how often the library looks for changes to draw. Its default of 60 wakes an idle screen too often.
const framesPerSecond = 10

// Run shows the screen until the person quits, or ctx ends.
func Run(ctx context.Context, o Options, more ...tea.ProgramOption) error {
	options := append([]tea.ProgramOption{tea.WithContext(ctx), tea.WithInput(o.In), tea.WithOutput(o.Out),
		tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond)}, more...)
	m := newModel(o)
	m.ctx = ctx
	_, err := tea.NewProgram(m, options...).Run()
	if ctx.Err() != nil && errors.Is(err, tea.ErrProgramKilled) {
		return nil
	}
	return err
}
