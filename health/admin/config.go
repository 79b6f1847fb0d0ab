package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

// The paths of the configuration.
const (
	PathConfigDiff     = prefix + "config/diff"
	PathConfigPlan     = prefix + "config/plan"
	PathConfigApply    = prefix + "config/apply"
	PathConfigRollback = prefix + "config/rollback"
	PathConfigHistory  = prefix + "config/history"
	PathConfigText     = prefix + "config/history/{number}"
)

// maxConfigBody bounds a request with a whole configuration, in bytes: JSON writes some of its characters as several.
const maxConfigBody = 4 << 20

// Configurations are the configuration in force, the file, and those that were applied earlier.
type Configurations interface {
	// Diff compares the file with the configuration in force and with the one that a start takes.
	Diff(ctx context.Context) (ConfigDiff, error)
	// Plan says what applying a candidate would do. It changes nothing.
	Plan(ctx context.Context, c Candidate) (ConfigPlan, error)
	// Apply puts a candidate in force, and returns when its probes have been watched. On an error it is not in force.
	Apply(ctx context.Context, c Candidate) (ConfigRecord, error)
	// Rollback applies an earlier configuration in the same way; 0 is the one that was good before the one in force.
	Rollback(ctx context.Context, number int) (ConfigRecord, error)
	// History lists what was applied, the latest first.
	History(ctx context.Context) []ConfigRecord
	// Text returns the text of an earlier configuration.
	Text(ctx context.Context, number int) (string, error)
}

// Candidate is a configuration that somebody wants in force.
type Candidate struct {
	// Candidate is its text; "" means the file. Only Portico's own user and root may send one, over admin.socket: it
	// can name programs to run. File names in it are relative to the folder of the file.
	Candidate string `json:"candidate,omitempty"`
	Name      string `json:"name,omitempty"` // of the file that it comes from, for messages
}

// ConfigDiff compares configurations.
type ConfigDiff struct {
	File    string    `json:"file"`     // path
	Running int       `json:"running"`  // number of the configuration in force
	AtStart int       `json:"at_start"` // number of what a start takes; 0 is the file
	Keys    []DiffRow `json:"keys"`
}

// DiffRow is a key with different values.
type DiffRow struct {
	Key     string `json:"key"`
	Running string `json:"running"`
	File    string `json:"file"`
	AtStart string `json:"at_start"`
}

// ConfigPlan is what applying a configuration would do.
type ConfigPlan struct {
	Changes []PlannedChange `json:"changes"`
	Notes   []string        `json:"notes"` // what it would do to listeners, sessions and databases
	// Warnings are those of the configuration, as portico check has them.
	Warnings []string `json:"warnings,omitempty"`
}

// PlannedChange is a key that would change.
type PlannedChange struct {
	Key    string `json:"key"`
	Was    string `json:"was"`
	Now    string `json:"now"`
	Effect string `json:"effect" enum:"all sessions,new connections,next apply,restart"` // for whom, or when
}

// ConfigRecord is a configuration that was applied, or refused.
type ConfigRecord struct {
	Number int       `json:"number"`
	Time   time.Time `json:"time"`
	Who    string    `json:"who"`
	From   string    `json:"from"` // the file, or the number of an earlier configuration
	// Result is what became of it: started, watched, applied, withdrawn, not withdrawn, replaced, refused, interrupted.
	Result  string `json:"result"`
	Reason  string `json:"reason,omitempty"`
	InForce bool   `json:"in_force"`
	// Rollback says that a rollback without a number goes to it.
	Rollback bool `json:"rollback,omitempty"`
	// Restart lists keys whose change a restart or an upgrade applies.
	Restart []string `json:"restart,omitempty"`
}

// RollbackRequest asks for an earlier configuration.
type RollbackRequest struct {
	Number int `json:"number,omitempty" minimum:"0"` // 0 is the one that was good before the one in force
}

// ConfigText is the text of a configuration.
type ConfigText struct {
	Number int    `json:"number"`
	Text   string `json:"text"`
}

// configRoutes adds the configuration to the API.
func configRoutes(api huma.API, c Configurations) {
	get(api, "diff-config", PathConfigDiff, "Compare the file with the configuration in force, and with what a start "+
		"takes", func(ctx context.Context, _ *None) (ConfigDiff, error) { return c.Diff(ctx) })
	get(api, "list-configs", PathConfigHistory, "List the configurations that were applied, the latest first",
		func(ctx context.Context, _ *None) ([]ConfigRecord, error) { return c.History(ctx), nil })
	get(api, "get-config", PathConfigText, "Show an earlier configuration, to Portico's own user and root over "+
		"admin.socket", func(ctx context.Context, in *struct {
		Number int `path:"number" minimum:"1"`
	}) (ConfigText, error) {
		if !isOwner(ctx) {
			return ConfigText{}, errNotOwner
		}
		text, err := c.Text(ctx, in.Number)
		return ConfigText{in.Number, text}, err
	})
	changeConfig(api, "plan-config", PathConfigPlan, "Show what applying the file or a candidate would do",
		func(ctx context.Context, in Candidate) (ConfigPlan, error) {
			Changed(ctx)
			return c.Plan(ctx, in)
		})
	changeConfig(api, "apply-config", PathConfigApply, "Apply the file or a candidate, watch the probes, and put the "+
		"configuration before back if they get worse", func(ctx context.Context, in Candidate) (ConfigRecord, error) {
		return recorded(ctx, c, func() (ConfigRecord, error) { return c.Apply(ctx, in) })
	})
	change(api, "roll-back-config", PathConfigRollback, "Apply an earlier configuration in the same way",
		func(ctx context.Context, _ string, in RollbackRequest) (ConfigRecord, error) {
			return recorded(ctx, c, func() (ConfigRecord, error) { return c.Rollback(ctx, in.Number) })
		})
}

var errNotOwner = Of(KindForbidden, errors.New("only Portico's own user and root may send or read a whole "+
	"configuration, over admin.socket"))

// changeConfig adds a request that may have a whole configuration in its body.
func changeConfig[Out any](api huma.API, id, path, summary string, do func(context.Context, Candidate) (Out, error)) {
	op := uncancelled(operation(http.MethodPost, id, path, summary))
	op.MaxBodyBytes = maxConfigBody
	huma.Register(api, op, func(ctx context.Context, in *unnamed[Candidate]) (*answer[Out], error) {
		candidate := valueOf(in.Body)
		if candidate.Candidate != "" && !isOwner(ctx) {
			return nil, problemOf(errNotOwner)
		}
		return answered(do(ctx, candidate))
	})
}

// recorded applies a configuration, and records which one was in force before and is now, whatever became of it.
func recorded(ctx context.Context, c Configurations, apply func() (ConfigRecord, error)) (ConfigRecord, error) {
	before := inForce(c.History(ctx))
	made, err := apply()
	Changed(ctx, Difference{"configuration", before, inForce(c.History(ctx))})
	return made, err
}

// inForce is the number of the configuration in force, nil if there is none in the list.
func inForce(all []ConfigRecord) any {
	for _, r := range all {
		if r.InForce {
			return r.Number
		}
	}
	return nil
}
