package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"portico/configs/applied"
	"portico/health/admin"
	"portico/health/admin/client"
	"portico/health/admin/table"
)

// historyEvery is how often an apply looks whether its configuration is in force.
const historyEvery = time.Second

// configHistory asks which configurations were applied, before another one is. It returns the client too.
func (a *apiCommand) configHistory(ctx context.Context) (*client.Client, []admin.ConfigRecord, error) {
	c, err := a.client(ctx)
	if err != nil {
		return nil, nil, err
	}
	var history []admin.ConfigRecord
	err = c.Get(ctx, admin.PathConfigHistory, &history)
	return c, history, err
}

// noteRollback says which configuration a rollback goes to, and returns its number. If that is 0, Portico says why
// there is none.
func (a *apiCommand) noteRollback(history []admin.ConfigRecord, number int) int {
	for _, r := range history {
		if number == 0 && r.Rollback || number == r.Number {
			a.note("going back from configuration %d to configuration %d of %s (who: %s; from: %s)",
				numberInForce(history), r.Number, table.Time(r.Time), r.Who, r.From)
			return r.Number
		}
	}
	return number
}

// numberInForce is the number of the configuration in force, 0 if it is not in the list.
func numberInForce(all []admin.ConfigRecord) int {
	for _, r := range all {
		if r.InForce {
			return r.Number
		}
	}
	return 0
}

// applied sends a request that puts a configuration in force, and prints which one is. history is from before it.
func (a *apiCommand) applied(cmd *cobra.Command, c *client.Client, history []admin.ConfigRecord, path string,
	body any) error {
	watching, end := context.WithCancel(cmd.Context())
	var group sync.WaitGroup
	if a.forPeople() {
		group.Go(func() { a.noteInForce(watching, c, history) })
	}
	var made admin.ConfigRecord
	err := c.Post(cmd.Context(), path, body, &made)
	end()
	group.Wait()
	lost := errors.Is(err, client.ErrUnreachable) || err != nil && admin.KindOf(err) == admin.KindUnreachable
	switch {
	case lost && cmd.Context().Err() == nil:
		return fmt.Errorf("%w; the result is not known. If Portico has ended, its next start takes the configuration "+
			"before; if it runs, the watch goes on. portico config history shows the result", err)
	case err != nil:
		return err
	}
	if err := a.print(cmd, made, recordTable(made)); err != nil {
		return err
	}
	if made.Number != 0 && made.Number == numberInForce(history) && a.forPeople() {
		a.note("configuration %d was in force already: only certificates, keys and tokens were read again", made.Number)
	}
	if len(made.Restart) > 0 {
		a.note("these keys need portico service upgrade: %s", strings.Join(made.Restart, ", "))
	}
	return nil
}

// noteInForce says once that a new configuration is in force and watched: Portico answers the request itself at the end
// of the watch.
func (a *apiCommand) noteInForce(ctx context.Context, c *client.Client, before []admin.ConfigRecord) {
	last := 0
	for _, r := range before {
		last = max(last, r.Number)
	}
	for tick := time.NewTicker(historyEvery); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		var now []admin.ConfigRecord
		if c.Get(ctx, admin.PathConfigHistory, &now) != nil {
			continue
		}
		for _, r := range now {
			if r.Number > last && r.InForce && r.Result == string(applied.Watched) {
				a.note("configuration %d is in force, and its probes are watched, also if you interrupt this command",
					r.Number)
				return
			}
		}
	}
}
