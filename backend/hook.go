package backend

import "context"

// Hook promotes and demotes the copies of a database whose storage has to be told, such as a replicated volume. Its
// methods return when that is done, and may be called again for what is done already. Servers are named as in the
// configuration.
type Hook interface {
	// Deactivate makes sure that the copy on from is not active, before the one on to is activated.
	Deactivate(ctx context.Context, database, from, to string) error
	// Activate makes the copy on to the active one.
	Activate(ctx context.Context, database, from, to string) error
}
