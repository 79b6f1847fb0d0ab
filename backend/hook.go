package backend

import "context"

// Hook promotes and demotes the copies of a database, for storage that needs it, such as a replicated volume. Its
// methods return when that is done. They must be idempotent. Server names are those of the configuration.
type Hook interface {
	// Deactivate makes sure that the copy on from is not active, before the one on to is activated.
	Deactivate(ctx context.Context, database, from, to string) error
	// Activate makes the copy on to the active one.
	Activate(ctx context.Context, database, from, to string) error
}
