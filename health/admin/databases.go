package admin

import (
	"cmp"
	"context"

	"github.com/danielgtaylor/huma/v2"

	"portico/backend"
)

// The paths of databases.
const (
	PathDatabases      = prefix + "databases"
	PathDatabaseMove   = PathDatabases + "/{name}/move"
	PathDatabaseResume = PathDatabases + "/{name}/resume"
	PathRebalance      = prefix + "rebalance"
)

// Databases are the databases and their copies as the API shows and moves them.
type Databases interface {
	Databases(ctx context.Context) []Copy
	// MoveDatabase makes a server's copy the active one. Without force, the server has to answer.
	MoveDatabase(ctx context.Context, database, server string, force bool) (Change, error)
	// ResumeCopy says that a copy that is Failed is well; was is false if it was not Failed.
	ResumeCopy(ctx context.Context, database, server string) (was bool, err error)
	// Rebalance moves databases to the first of their copies that can have them, and away from servers that do not
	// answer.
	Rebalance(ctx context.Context) ([]backend.MoveResult, error)
}

// Copy is what the parts of a node know of one copy of a database.
type Copy struct {
	backend.CopyState
	Answer error  // what asking its server just now has found; see backend.ReachOf
	Barred string // why nothing moves to its server by itself; "" for the active copy
}

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

// ResumeRequest says whose copy is well.
type ResumeRequest struct {
	Server string `json:"server"`
}

// Resumed says whether a copy was Failed.
type Resumed struct {
	WasFailed bool `json:"was_failed"`
}

// databaseRoutes adds databases to the API.
func databaseRoutes(api huma.API, d Databases) {
	get(api, "list-databases", PathDatabases, "List the copies of all databases, their mailbox servers asked now",
		func(ctx context.Context, _ *None) ([]CopyStatus, error) {
			return rowsOf(d.Databases(ctx), CopyRow), nil
		})
	change(api, "move-database", PathDatabaseMove, "Make another copy of a database the active one",
		func(ctx context.Context, name string, to DatabaseMove) (Change, error) {
			return d.MoveDatabase(ctx, name, to.Server, to.Force)
		})
	change(api, "resume-copy", PathDatabaseResume, "Say that a copy that is Failed is well",
		func(ctx context.Context, name string, r ResumeRequest) (Resumed, error) {
			was, err := d.ResumeCopy(ctx, name, r.Server)
			if err == nil {
				Changed(ctx, Difference{"Failed", was, false})
			}
			return Resumed{was}, err
		})
	change(api, "rebalance", PathRebalance, "Move databases to the first of their copies that can have them",
		func(ctx context.Context, _ string, _ None) ([]Move, error) {
			moves, err := d.Rebalance(ctx)
			return moved(ctx, moves, err)
		})
}

// CopyRow is a copy in the API's words.
func CopyRow(c Copy) CopyStatus {
	return CopyStatus{
		Database: c.Database, Server: c.Server, Active: c.Active, Failed: c.Failed, Blocked: c.Blocked,
		Barred: c.Barred, Status: statusOf(c.CopyState, backend.ReachOf(c.Answer)), Error: reason(c.Answer),
	}
}

// CopySuspended is the status of a copy that may be the active one while its database admits nobody.
const CopySuspended = "FailedAndSuspended"

// statusOf is a copy's state in Exchange's words. What could not be asked is Unknown.
func statusOf(c backend.CopyState, server backend.Reach) string {
	switch {
	case (c.Suspended || c.Lost) && !c.Moving:
		return CopySuspended
	case c.Failed != "" && !c.Active:
		return "Failed"
	case c.Active && c.Moving:
		return "Dismounting"
	case server == backend.ReachUnknown:
		return "Unknown"
	case c.Active && server == backend.ReachUp:
		return "Mounted"
	case c.Active:
		return "Dismounted"
	case server == backend.ReachUp:
		return "Healthy"
	}
	return "ServiceDown"
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
