package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"portico/cmd/portico/cli/top"
	"portico/health/admin"
	"portico/health/admin/client"
	"portico/health/admin/table"
)

func newTop() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch mailbox servers, commands, users and sessions on the whole terminal",
		Long: `Top shows what happens now, and the last minutes as small plots: mailbox
servers, IMAP commands, the busiest users and those who wait longest, and each
session with the command that is open and since when.

  1 2 3 4, Tab     servers, commands, users, sessions
  arrows, PgUp     select a row
  s, r             sort by the next column; the other way round
  /                show only rows with a text; Esc shows all again
  Enter            sessions of the row, or all about a session
  k                end the session, or all sessions of the user
  l                log this user's commands to files for 10 minutes
  p                hold the sign-ins to a mailbox server for 1 minute, or end that
  q                quit

k, l and p ask first. Figures of servers are of the last seconds, those of
commands of the last minute. If Portico does not answer, the last line says so
and the screen stays. --once prints the same once, for a mail or a ticket.`,
		Example: "  portico top\n  portico top --once",
		Args:    cobra.NoArgs,
	}
	api := apiFlags(cmd)
	once := cmd.Flags().Bool("once", false, "print everything once and exit")
	interval := timeFlag(cmd, "interval", 2*time.Second, "how often to ask Portico, at least 1s")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *interval < time.Second {
			return fmt.Errorf("--interval must be at least 1s, not %v", *interval)
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		source, err := newTopSource(ctx, api)
		if err != nil {
			return err
		}
		if *once {
			return source.print(ctx, cmd, api)
		}
		if out := cmd.OutOrStdout(); !onTerminal(out) || !onTerminal(os.Stdin) {
			return errors.New("portico top needs a terminal; portico top --once prints everything once")
		}
		if _, err := source.Read(ctx); err != nil { // on the terminal as it was
			return err
		}
		return top.Run(ctx, top.Options{Source: source, In: os.Stdin, Out: cmd.OutOrStdout(), ASCII: !utf8Terminal(),
			Interval: *interval, Now: time.Now})
	}
	return cmd
}

// topSource reads from a running Portico, and does things there. It implements top.Source.
type topSource struct{ *client.Client }

func newTopSource(ctx context.Context, api *apiCommand) (topSource, error) {
	c, err := api.client(ctx)
	return topSource{c}, err
}

// The requests for figures: of servers now, of verbs in the last minute, and of everything in the last minutes.
const (
	topServers = admin.PathStats + "?by=server&since=15"
	topVerbs   = admin.PathStats + "?by=verb&since=60"
	topTrend   = admin.PathStatsSeries + "?by=listener&buckets=true&since=600&step=10"
)

// Read implements top.Source.
func (t topSource) Read(ctx context.Context) (s top.Snapshot, err error) {
	var names admin.Names
	group, ctx := errgroup.WithContext(ctx)
	for path, into := range map[string]any{
		admin.PathNames: &names, topTrend: &s.Trend, topServers: &s.Servers, topVerbs: &s.Verbs,
		admin.PathServers: &s.States, admin.PathSessions: &s.Sessions,
	} {
		group.Go(func() error { return t.Get(ctx, path, into) })
	}
	err = group.Wait()
	s.Node = names.Node
	return s, err
}

// Do implements top.Source.
func (t topSource) Do(ctx context.Context, a top.Action) (done string, err error) {
	switch a.Kind {
	case top.Kick:
		which := admin.SessionFilter{User: a.User, Session: a.Session}
		var kicked admin.Kicked
		err = t.Post(ctx, admin.PathSessionsKick, which, &kicked)
		return fmt.Sprintf("Sessions of %s ended: %d.", a.User, kicked.Ended), err
	case top.Log:
		log := admin.LogOnRequest{LogFilter: admin.LogFilter{User: a.User}, For: top.LogTime.Seconds()}
		err = t.Post(ctx, admin.PathLogOn, log, new(admin.LogRule))
		return fmt.Sprintf("Logging for %v: portico log show --user %s", top.LogTime, a.User), err
	}
	var pause time.Duration
	if a.Kind == top.Pause {
		pause = top.PauseTime
	}
	var change admin.Change
	err = t.Post(ctx, admin.PathOf(admin.PathServerPause, a.Server), admin.PauseRequest{Seconds: pause.Seconds()},
		&change)
	return fmt.Sprintf("%s: was %s, now %s.", change.What, change.Was, change.Now), err
}

// print prints what the screen would show. It reads twice, because what users do a second takes two readings.
func (t topSource) print(ctx context.Context, cmd *cobra.Command, api *apiCommand) error {
	before, err := t.Read(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
		return ctx.Err()
	}
	now, err := t.Read(ctx)
	if err != nil {
		return err
	}
	totals, tables := top.Once(before, now, time.Since(began))
	if api.form == table.JSON || api.form == table.Name {
		return api.print(cmd, now, tables[len(tables)-1])
	}
	if api.forPeople() {
		fmt.Fprintf(cmd.OutOrStdout(), "%s:\n%s.\n", now.Node, totals)
	}
	for _, rows := range tables {
		fmt.Fprintln(cmd.OutOrStdout())
		if err := api.print(cmd, nil, rows); err != nil {
			return err
		}
	}
	return nil
}
