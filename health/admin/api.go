package admin

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"portico/backend"
)

// Control is what can be seen and done through the API. Its methods are called by several goroutines at once. KindOf
// says of which kind an error is.
type Control interface {
	Penalties
	Servers(ctx context.Context) []ServerState
	Databases(ctx context.Context) []CopyStatus
	// Block forbids new active copies on a server, and moves those that are there if it is asked to.
	Block(ctx context.Context, server string, move bool) ([]backend.MoveResult, error)
	Unblock(ctx context.Context, server string) (Change, error)
	// SetPolicy says whether databases are activated on a server automatically: Unrestricted, Blocked, or "" for as it
	// is configured.
	SetPolicy(ctx context.Context, server, policy string) (Change, error)
	// Pause holds the sign-ins to a server; zero ends that.
	Pause(ctx context.Context, server string, d time.Duration) (Change, error)
	// MoveDatabase makes a server's copy the active one. Without force, the server has to answer.
	MoveDatabase(ctx context.Context, database, server string, force bool) (Change, error)
	// ResumeCopy says that a copy that is Failed is well; was is false if it was not Failed.
	ResumeCopy(ctx context.Context, database, server string) (was bool, err error)
	// Rebalance moves databases to the first of their copies that can have them, and away from servers that do not
	// answer.
	Rebalance(ctx context.Context) ([]backend.MoveResult, error)
	Sessions(ctx context.Context) []SessionState
	// Slow lists the slowest commands of the last day, the slowest first.
	Slow(ctx context.Context) []SlowCommand
	// Names lists the names that requests may have.
	Names() Names
	// Named returns the one form of a user name that an operator has typed, as a sign-in would find it.
	Named(ctx context.Context, typed string) (UserName, error)
	// Where says where a user's mailbox is.
	Where(ctx context.Context, user string) (Place, error)
	Settings(ctx context.Context) ([]SettingState, error)
	// ChangeSettings makes all of a change, or nothing, and returns the settings as they are then.
	ChangeSettings(ctx context.Context, change SettingsChange) ([]SettingState, error)
	// MoveUser puts a user into another database, or with "" back to where the directory has the user. It calls
	// Changed.
	MoveUser(ctx context.Context, user, database string) (Place, error)
	// Kick ends the sessions that fit all that is given, and lists them. They are over when it returns.
	Kick(ctx context.Context, which SessionFilter) ([]SessionState, error)
}

// SettingState is a setting as the API shows it: Get-ImapSettings.
type SettingState struct {
	Name   string `json:"name"`
	Value  string `json:"value"`          // in force
	Was    string `json:"was,omitempty"`  // before a change, if that was something else
	Source string `json:"source"`         // where it comes from: default, file, or stored by a change at run time
	File   string `json:"file,omitempty"` // what the file says, if that is something else
}

// SettingsChange is what to change, in this order: forget what is stored, and store. Names are taken in Exchange's
// spelling too.
type SettingsChange struct {
	ResetAll bool              `json:"reset_all,omitempty"`
	Reset    []string          `json:"reset,omitempty"`
	Set      map[string]string `json:"set,omitempty"`
}

// SessionState is a signed-in session as the API shows it.
type SessionState struct {
	ID       string `json:"id"`
	User     string `json:"user"`
	Remote   string `json:"remote"` // the client's address
	Listener string `json:"listener"`
	Server   string `json:"server"`
	Database string `json:"database,omitempty"`
	Commands uint64 `json:"commands"` // answered so far
	Open     int    `json:"open"`     // begun and not ended

	Command string     `json:"command,omitempty"` // the oldest open one
	Began   *time.Time `json:"began,omitempty"`   // when it began
	Age     float64    `json:"age,omitempty"`     // seconds since then
	// the share of that in which it waited for the mailbox server, from 0 to 1
	Waiting float64 `json:"waiting,omitempty"`

	Idling bool    `json:"idling"` // waits for mail
	Oldest float64 `json:"oldest"` // seconds for which the oldest open command has waited for its answer
	Silent float64 `json:"silent"` // seconds since the client last sent something
}

// SlowCommand is one of the slowest commands of its mailbox server, verb and hour.
type SlowCommand struct {
	Ended   time.Time `json:"ended"`
	Command string    `json:"command"`
	Seconds float64   `json:"seconds"` // server time
	Result  string    `json:"result"`  // ok, no, bad, or aborted if the session ended first
	Server  string    `json:"server"`
	User    string    `json:"user"`
	Session string    `json:"session"`
	Remote  string    `json:"remote"` // the client's address
}

// Place is where a user's mailbox is.
type Place struct {
	User     string `json:"user"` // the name to go by, which the directory may have changed
	Database string `json:"database,omitempty"`
	Server   string `json:"server"`
	Was      string `json:"was,omitempty"`   // the database before a move
	Moved    bool   `json:"moved,omitempty"` // there by command, whatever the directory says
	Sessions int    `json:"sessions"`        // of this user, now
	// Standing is whether the directory knows the user; see UserName.
	Standing    Standing `json:"standing,omitempty"`
	NoDirectory bool     `json:"no_directory,omitempty"`

	// SignIn is what is known of the user's sign-ins now; nil in the answer to a move.
	SignIn *SignInState `json:"sign_in,omitempty"`
}

// SignInState says whether a user can sign in now, as far as that is known without the password.
type SignInState struct {
	Possible  bool         `json:"possible"`
	Reason    string       `json:"reason,omitempty"` // why not, or what makes it slow
	State     string       `json:"server_state"`     // ServerUp, ServerDown or ServerUnknown
	Since     *time.Time   `json:"since,omitempty"`  // the monitor of the server has seen that
	Copies    []CopyStatus `json:"copies"`           // of the user's database
	Penalties []Penalty    `json:"penalties"`        // of the user
}

// ServerState is a mailbox server as the API shows it.
type ServerState struct {
	Name    string  `json:"name"`
	State   string  `json:"state"`             // ServerUp, ServerDown or ServerUnknown
	Up      bool    `json:"up"`                // it answered when it was asked just now
	Error   string  `json:"error,omitempty"`   // or why it did not
	Breaker bool    `json:"breaker_open"`      // sign-ins leave it alone
	Policy  string  `json:"policy"`            // whether Portico activates databases there by itself
	Paused  float64 `json:"paused,omitempty"`  // seconds that sign-ins are still held
	Waiting int     `json:"waiting,omitempty"` // sign-ins that are held
	Blocked bool    `json:"blocked"`           // no database may be activated there
	// BlockedBy says who wants that: operator, maintenance, health.
	BlockedBy []string `json:"blocked_by,omitempty"`
	// Blockers names the users and tokens behind them too.
	Blockers []Blocker `json:"blockers,omitempty"`
	Active   int       `json:"active"` // databases that are
}

// Blocker is one who blocks activation on a mailbox server.
type Blocker struct {
	By  string `json:"by"`            // operator, maintenance, health
	Who string `json:"who,omitempty"` // the user or token that asked for it
	// Monitor is the identity of the monitor for which health blocks, and Why says what has to happen before health
	// lifts the block.
	Monitor string `json:"monitor,omitempty"`
	Why     string `json:"why,omitempty"`
}

// States of a mailbox server that was asked just now. One that could not be asked is unknown.
const (
	ServerUp      = "up"
	ServerDown    = "down"
	ServerUnknown = "unknown"
)

// CopyStatus is one copy of a database as the API shows it: Get-MailboxDatabaseCopyStatus.
type CopyStatus struct {
	Database string `json:"database"`
	Server   string `json:"server"`
	// of the active copy Mounted, Dismounting, Dismounted; of another Healthy, ServiceDown, Failed; of either
	// FailedAndSuspended, Unknown
	Status  string `json:"status"`
	Active  bool   `json:"active"`
	Failed  string `json:"failed,omitempty"` // why its mail could not be read
	Blocked bool   `json:"blocked"`
	Barred  string `json:"barred,omitempty"` // why nothing moves to its server by itself; "" for the active copy
	Error   string `json:"error,omitempty"`  // why its server does not answer, or could not be asked
}

// DatabaseMove is where a database is to move.
type DatabaseMove struct {
	Server string `json:"server"`
	Force  bool   `json:"force,omitempty"` // though the server does not answer
}

// Move is what became of a database that was to move.
type Move struct {
	Database string `json:"database"`
	From     string `json:"from"`
	To       string `json:"to,omitempty"`     // "" if it stays
	Reason   string `json:"reason,omitempty"` // why it stays
}

// Bounds of the API.
const (
	maxBody  = 64 << 10        // of a request, in bytes
	moveTime = 5 * time.Minute // of a request that moves databases
)

// api adds the API to the pages.
func api(mux *http.ServeMux, c Control) {
	mux.HandleFunc("GET /api/v1/servers", func(w http.ResponseWriter,
		r *http.Request) {
		answer(w, c.Servers(r.Context()), nil)
	})
	mux.HandleFunc("GET /api/v1/databases", func(w http.ResponseWriter,
		r *http.Request) {
		answer(w, c.Databases(r.Context()), nil)
	})
	change(mux, "servers/{name}/block", func(ctx context.Context, name string, body struct{ Move bool }) (any, error) {
		was := activation(c, name)
		moves, err := c.Block(ctx, name, body.Move)
		Changed(ctx, Difference{"activation on " + name, was, activation(c, name)})
		return moved(ctx, moves, err)
	})
	change(mux, "servers/{name}/unblock", func(ctx context.Context, name string, _ struct{}) (any, error) {
		return c.Unblock(ctx, name)
	})
	change(mux, "servers/{name}/policy", func(ctx context.Context, name string,
		body struct{ Policy string }) (any, error) {
		return c.SetPolicy(ctx, name, body.Policy)
	})
	change(mux, "servers/{name}/pause", func(ctx context.Context, name string,
		body struct{ Seconds float64 }) (any, error) {
		return c.Pause(ctx, name, time.Duration(body.Seconds*float64(time.Second)))
	})
	change(mux, "users/{name}/move", func(ctx context.Context, name string,
		body struct{ Database string }) (any, error) {
		return c.MoveUser(ctx, name, body.Database)
	})
	change(mux, "databases/{name}/move", func(ctx context.Context, name string, body DatabaseMove) (any, error) {
		return c.MoveDatabase(ctx, name, body.Server, body.Force)
	})
	change(mux, "databases/{name}/resume", func(ctx context.Context, name string,
		body struct{ Server string }) (any, error) {
		was, err := c.ResumeCopy(ctx, name, body.Server)
		if err == nil {
			Changed(ctx, Difference{"Failed", was, false})
		}
		return map[string]bool{"was_failed": was}, err
	})
	mux.HandleFunc("GET /api/v1/settings", func(w http.ResponseWriter, r *http.Request) {
		states, err := c.Settings(r.Context())
		answer(w, states, err)
	})
	change(mux, "settings", func(ctx context.Context, _ string, body SettingsChange) (any, error) {
		before, err := c.Settings(ctx)
		if err != nil {
			return nil, err
		}
		after, err := c.ChangeSettings(ctx, body)
		if err == nil {
			Changed(ctx, settingsChanged(before, after)...)
		}
		return after, err
	})
	mux.HandleFunc("GET /api/v1/sessions", func(w http.ResponseWriter,
		r *http.Request) {
		answer(w, c.Sessions(r.Context()), nil)
	})
	mux.HandleFunc("GET /api/v1/slow", func(w http.ResponseWriter,
		r *http.Request) {
		answer(w, c.Slow(r.Context()), nil)
	})
	mux.HandleFunc("GET /api/v1/users/{name}", func(w http.ResponseWriter, r *http.Request) {
		place, err := c.Where(r.Context(), r.PathValue("name"))
		answer(w, place, err)
	})
	mux.HandleFunc("GET /api/v1/users/{name}/name", func(w http.ResponseWriter, r *http.Request) {
		name, err := c.Named(r.Context(), r.PathValue("name"))
		answer(w, name, err)
	})
	mux.HandleFunc("GET /api/v1/names", func(w http.ResponseWriter, _ *http.Request) { answer(w, c.Names(), nil) })
	change(mux, "users/{name}/kick", func(ctx context.Context, name string, _ struct{}) (any, error) {
		return kick(ctx, c, SessionFilter{User: name})
	})
	change(mux, "sessions/kick", func(ctx context.Context, _ string, which SessionFilter) (any, error) {
		return kick(ctx, c, which)
	})
	penaltyAPI(mux, c)
	change(mux, "rebalance", func(ctx context.Context, _ string, _ struct{}) (any, error) {
		moves, err := c.Rebalance(ctx)
		return moved(ctx, moves, err)
	})
}

// activation says whether databases may be activated on a mailbox server.
func activation(c Control, server string) string {
	if slices.Contains(c.Names().Blocked, server) {
		return "blocked"
	}
	return "allowed"
}

// moved records databases that were to move, and returns what became of them in the API's words.
func moved(ctx context.Context, moves []backend.MoveResult, err error) ([]Move, error) {
	if err == nil {
		Changed(ctx)
	}
	rows := []Move{}
	for _, m := range moves {
		row := Move{Database: m.Database, From: m.From}
		if m.Err != nil {
			row.Reason = m.Err.Error()
		} else {
			row.To = m.To
		}
		rows = append(rows, row)
		Changed(ctx, Difference{"active copy of " + row.Database, row.From, cmp.Or(row.To, row.From)})
	}
	return rows, err
}

// settingsChanged lists the settings that have another value or come from another place.
func settingsChanged(before, after []SettingState) (all []Difference) {
	was := make(map[string]SettingState)
	for _, s := range before {
		was[s.Name] = s
	}
	for _, s := range after {
		if b := was[s.Name]; b.Value != s.Value {
			all = append(all, Difference{s.Name, b.Value, s.Value})
		} else if b.Source != s.Source {
			all = append(all, Difference{"source of " + s.Name, b.Source, s.Source})
		}
	}
	return all
}

// kick ends sessions.
func kick(ctx context.Context, c Control, which SessionFilter) (Kicked, error) {
	ended, err := c.Kick(ctx, which)
	if err == nil {
		open := []string{}
		for _, s := range ended {
			open = append(open, fmt.Sprintf("%s of %s from %s at %s", s.ID, s.User, s.Remote, s.Server))
		}
		Changed(ctx, Difference{"sessions", open, []string{}})
	}
	return Kicked{Ended: len(ended), Sessions: ended}, err
}

// change adds a request that changes something: a POST with a body of JSON. Who may send it is for guard to say. Do
// answers with a Change, or calls Changed.
func change[Body any](mux *http.ServeMux, path string, do func(ctx context.Context, name string,
	body Body) (any, error)) {
	mux.HandleFunc("POST /api/v1/"+path, func(w http.ResponseWriter, r *http.Request) {
		var body Body
		if !readBody(w, r, &body) {
			return
		}
		// A move takes as long as its sessions need, whatever becomes of who asked for it.
		http.NewResponseController(w).SetWriteDeadline(time.Now().Add(moveTime + writeTimeout))
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), moveTime)
		defer cancel()
		value, err := do(ctx, r.PathValue("name"), body)
		answer(w, value, err)
	})
}

// readBody reads a request's body of JSON, or answers that it cannot be read.
func readBody(w http.ResponseWriter, r *http.Request, into any) (ok bool) {
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil && !errors.Is(err, io.EOF) {
		fail(w, Of(KindInvalid, fmt.Errorf("read the request: %w", err)))
		return false
	}
	return true
}

// answer sends a value, or an error.
func answer(w http.ResponseWriter, value any, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(value)
}
