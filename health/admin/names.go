package admin

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"portico/configs/suggest"
	"portico/protolog"
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
	// NoDirectory says that no directory is configured, so that nobody ever can say whether there is such a user.
	NoDirectory bool `json:"no_directory,omitempty"`
}

// SessionFilter says which sessions are meant: those that fit all that is given.
type SessionFilter struct {
	User    string `json:"user,omitempty"` // as somebody has typed it; see Control.Named
	Session string `json:"session,omitempty"`
	IP      string `json:"ip,omitempty"` // an address or a network
	Server  string `json:"server,omitempty"`
}

// Test returns a function that says whether a session is meant. The filter has to have the one form of the user's
// name. An error is about IP.
func (f SessionFilter) Test() (fits func(id, user, server string, client netip.Addr) bool, err error) {
	var network netip.Prefix
	if f.IP != "" {
		if network, err = protolog.ParseNetwork(f.IP); err != nil {
			return nil, err
		}
	}
	return func(id, user, server string, client netip.Addr) bool {
		return (f.User == "" || user == f.User) && (f.Server == "" || server == f.Server) &&
			(f.Session == "" || strings.EqualFold(id, f.Session)) && protolog.Covers(network, client)
	}, nil
}

// Kicked lists sessions that were ended.
type Kicked struct {
	Ended    int            `json:"ended"`
	Sessions []SessionState `json:"sessions"`
}

// NoSuch returns the error for a name that is none of the known ones. It is of KindUnknown, and says what may have
// been meant. An address with a password that was typed for a name is not shown.
func NoSuch(what, name string, known []string) error {
	if at := strings.LastIndexByte(name, '@'); at >= 0 && strings.Contains(name[:at], ":") {
		name = "*****"
	}
	return Unknown(errors.New(suggest.NoSuch(what, name, known)))
}

// NoSuchUser says that the directory does not know a user, as typed and in the one form that names have.
func NoSuchUser(typed, canonical string) error {
	return Unknown(fmt.Errorf("there is no user %s: the directory does not know %s", typed, canonical))
}
