package health

import (
	"context"
	"errors"
	"strings"
)

// CanaryTarget returns the target of the probe of a canary on a mailbox server.
func CanaryTarget(name, server string) string { return name + "@" + server }

// CutCanary returns the parts of CanaryTarget.
func CutCanary(target string) (name, server string) {
	name, server, _ = strings.Cut(target, "@")
	return name, server
}

// CanaryFigures is a comparison of a canary with the other servers.
type CanaryFigures struct {
	Summary  string   // on how much it is based
	Exceeded []string // the limits that the canary exceeds, with the figures
}

// Canary checks whether a canary exceeds its limits. compare looks at the figures of the whole site.
func Canary(target string, compare func(ctx context.Context, name string) CanaryFigures) func(context.Context,
	*Run) error {
	name, server := CutCanary(target)
	return func(ctx context.Context, run *Run) error {
		run.Mailbox = server
		found := compare(ctx, name)
		run.Context, run.Value = found.Summary, float64(len(found.Exceeded))
		if len(found.Exceeded) == 0 {
			return nil
		}
		return &Failure{InformationStore, "compare", errors.New(strings.Join(found.Exceeded, "; "))}
	}
}
