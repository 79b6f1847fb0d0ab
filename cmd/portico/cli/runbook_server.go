package cli

import (
	"context"
	"fmt"

	"portico/health/admin"
)

// showServer prints all monitors that concern the mailbox server, including those of its databases: step 3.6 of
// Exchange's guide.
func (w *walk) showServer(ctx context.Context) error {
	if w.server == "" {
		return nil
	}
	var all []admin.MonitorRow
	if err := w.api.get(ctx, about(admin.PathMonitors, w.server), &all); err != nil {
		return err
	}
	for _, m := range all {
		fmt.Fprintf(w.out, "  %s/%s/%s is %s %s\n", m.HealthSetName, m.Name, m.TargetResource, m.AlertValue,
			visibleText(m.Error))
	}
	return nil
}
