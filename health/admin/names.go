package admin

import (
	"errors"
	"fmt"
	"strings"

	"portico/configs"
)

// Names are the names that requests may have.
type Names struct {
	Node      string   `json:"node"`  // this one
	Nodes     []string `json:"nodes"` // the others
	Servers   []string `json:"servers"`
	Databases []string `json:"databases"`
	Blocked   []string `json:"blocked"`  // servers on which no database may be activated
	Commands  []string `json:"commands"` // that the proxy tells apart, in upper case
}

// Standing says whether there is a user of a name.
type Standing string

// The answers to that.
const (
	StandingKnown     Standing = "known"     // the directory says so
	StandingUnknown   Standing = "unknown"   // the directory says that there is none
	StandingUndecided Standing = "undecided" // nobody can say: there is no directory, or it does not answer
)

// UserName is the one form of a user name that somebody has typed.
type UserName struct {
	User     string   `json:"user"`
	Standing Standing `json:"standing"`
}

// SessionFilter says which sessions are meant: those that fit all that is given.
type SessionFilter struct {
	User    string `json:"user,omitempty"` // as somebody has typed it; see Control.Named
	Session string `json:"session,omitempty"`
	IP      string `json:"ip,omitempty"` // an address or a network
	Server  string `json:"server,omitempty"`
}

// Kicked lists sessions that were ended.
type Kicked struct {
	Ended    int            `json:"ended"`
	Sessions []SessionState `json:"sessions"`
}

// maxListed is how many names an error lists.
const maxListed = 8

// NoSuch returns the error for a name that is none of the known ones. It wraps ErrUnknown, and says what may have been meant.
func NoSuch(what, name string, known []string) error {
	text := fmt.Sprintf("there is no %s %q", what, name)
	if near := configs.Nearest(name, known); near != "" {
		text += "; did you mean " + near + "?"
	} else if len(known) > 0 && len(known) <= maxListed {
		text += "; known: " + strings.Join(known, ", ")
	}
	return Unknown(errors.New(text))
}
