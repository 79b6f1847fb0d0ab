package admin

import (
	"context"
	"fmt"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// The paths of users.
const (
	PathUser     = prefix + "users/{name}"
	PathUserName = PathUser + "/name"
	PathUserMove = PathUser + "/move"
)

// Users are the users as the API shows and moves them.
type Users interface {
	// Named returns the one form of a user name that an operator has typed, as a sign-in would find it.
	Named(ctx context.Context, typed string) (UserName, error)
	// Where says where a user's mailbox is.
	Where(ctx context.Context, user string) (UserLocation, error)
	// MoveUser puts a user into another database, or with "" back to where the directory has the user. It calls
	// Changed.
	MoveUser(ctx context.Context, user, database string) (UserLocation, error)
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

// UserLocation is where a user's mailbox is.
type UserLocation struct {
	Node     string `json:"node,omitempty"` // that says so, where several nodes are asked
	User     string `json:"user"`           // the name to go by, which the directory may have changed
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

// ByName is a request about what has a name.
type ByName struct {
	Name string `path:"name"`
}

// UserMove is where a user is to move; "" is back to where the directory has the user.
type UserMove struct {
	Database string `json:"database,omitempty"`
}

// userRoutes adds users to the API.
func userRoutes(api huma.API, u Users) {
	get(api, "show-user", PathUser, "Say where a user's mailbox is, and whether the user can sign in",
		func(ctx context.Context, of *ByName) (UserLocation, error) { return u.Where(ctx, of.Name) })
	get(api, "show-user-name", PathUserName, "Say which user is meant by what somebody has typed",
		func(ctx context.Context, of *ByName) (UserName, error) { return u.Named(ctx, of.Name) })
	change(api, "move-user", PathUserMove, "Put a user into another database",
		func(ctx context.Context, name string, to UserMove) (UserLocation, error) {
			return u.MoveUser(ctx, name, to.Database)
		})
}

// NoSuchUser says that the directory does not know a user, as typed and in the one form that names have.
func NoSuchUser(typed, canonical string) error {
	return Unknown(fmt.Errorf("there is no user %s: the directory does not know %s", typed, canonical))
}
