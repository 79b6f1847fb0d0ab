package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"portico/cmd/portico/cli/top"
	"portico/health/admin"
	"portico/health/admin/table"
	"portico/proxy/history"
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
  p                hold the sign-ins to a mailbox server for 1 minute, or end
                   that
  q                quit

k, l and p ask first. Figures of servers are of the last seconds, those of
commands of the last minute. Longest is how long a user's oldest command has
waited for a mailbox server. If Portico does not answer, the last line says so
and the screen stays. Lists that take the nodes long are read the less often:
9,000 sessions every 10 seconds. --once prints the same once, for a mail or a
ticket.` + aboutSite,
		Example: "  portico top\n  portico top --once",
		Args:    cobra.NoArgs,
	}
	api := siteFlags(cmd)
	once := cmd.Flags().Bool("once", false, "print everything once and exit")
	interval := timeFlag(cmd, "interval", 2*time.Second, "how often to ask Portico, at least 1s")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if *interval < time.Second {
			return fmt.Errorf("--interval must be at least 1s, not %v", *interval)
		}
		ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		source := &topSource{api: api}
		if *once {
			return source.print(ctx, cmd, api)
		}
		if out := cmd.OutOrStdout(); !onTerminal(out) || !onTerminal(os.Stdin) {
			return errors.New("portico top needs a terminal; portico top --once prints everything once")
		}
		if _, err := source.Read(ctx, nil); err != nil { // on the terminal as it was
			return err
		}
		return top.Run(ctx, top.Options{Source: source, In: os.Stdin, Out: cmd.OutOrStdout(), ASCII: !utf8Terminal(),
			Interval: *interval, Now: time.Now})
	}
	return cmd
}

// topSource reads from all nodes of a running site, and does things there. It implements top.Source. One Read is under
// way at a time.
type topSource struct {
	api     *apiCommand
	figures topFigures
}

// topFigures are what nodes record each history.Interval. To ask for it more often would cost them most of what top
// does, and show nothing new.
type topFigures struct {
	at             time.Time // when it was asked for; zero before the first time
	trend          admin.StatsSeries
	servers, verbs admin.StatsFigures
	others         int // nodes beside the one that is asked
	missing        [3][]missingNode
}

// The requests for figures: of servers now, of verbs in the last minute, and of everything in the last minutes.
const (
	topStep    = 10 * time.Second
	topServers = admin.PathStats + "?by=server&buckets=true&since=15"
	topVerbs   = admin.PathStats + "?by=verb&buckets=true&since=60"
	topTrend   = admin.PathStatsSeries + "?by=listener&buckets=true&since=600&step=10"
)

// Read implements top.Source. The states of servers are those that the node sees that is asked first.
func (t *topSource) Read(ctx context.Context, sessions *admin.SessionQuery) (s top.Snapshot, err error) {
	var names admin.Names
	var missing []missingNode
	figures := t.figures
	group, ctx := errgroup.WithContext(ctx)
	if began := time.Now(); began.Sub(figures.at) >= history.Interval {
		figures.at = began
		t.readFigures(ctx, group, &figures)
	}
	if sessions != nil {
		path := admin.PathSessions + "?" + sessions.Query().Encode()
		readSite(ctx, group, t.quiet(), path, &missing, func(all *fromNodes[[]admin.SessionState]) {
			rows := rowsOf(all, func(row *admin.SessionState) *string { return &row.Node })
			s.Sessions, _ = admin.SessionFields.First(rows, sessions.Order) // the nodes have taken the order
		})
	}
	group.Go(func() error { return t.quiet().get(ctx, admin.PathServers, &s.States) })
	group.Go(func() error { return t.quiet().get(ctx, admin.PathNames, &names) })
	var silent []string
	group.Go(func() error { silent = t.quiet().silent(ctx); return nil })
	if err = group.Wait(); err != nil {
		return s, err
	}
	t.figures = figures
	s.Trend, s.Servers, s.Verbs = figures.trend, figures.servers, figures.verbs
	s.Node = siteName(names.Node, figures.others)
	s.Missing = append(missingIn(append(figures.missing[:], missing)), silent...)
	return s, nil
}

// readFigures reads figures of all nodes.
func (t *topSource) readFigures(ctx context.Context, group *errgroup.Group, f *topFigures) {
	readSite(ctx, group, t.quiet(), topTrend, &f.missing[0], func(all *fromNodes[admin.StatsSeries]) {
		f.trend = mergedSeries(all, topStep)
	})
	readSite(ctx, group, t.quiet(), topServers, &f.missing[1], func(all *fromNodes[admin.StatsFigures]) {
		f.servers = siteFigures(all)
	})
	readSite(ctx, group, t.quiet(), topVerbs, &f.missing[2], func(all *fromNodes[admin.StatsFigures]) {
		f.others = len(all.answers) - 1
		f.verbs = siteFigures(all)
	})
}

// readSite reads the answers of all nodes at a path, and has take use them. It notes which are missing.
func readSite[Answer any](ctx context.Context, group *errgroup.Group, api *apiCommand, path string,
	missing *[]missingNode, take func(*fromNodes[Answer])) {
	group.Go(func() error {
		all, err := getAll[Answer](ctx, api, path)
		if err != nil {
			return err
		}
		*missing = all.missing
		take(all)
		return nil
	})
}

// siteName names the nodes that have answered: the one that is asked, and how many others.
func siteName(first string, others int) string {
	switch others {
	case 0:
		return first
	case 1:
		return first + " and 1 other node"
	default:
		return fmt.Sprintf("%s and %d other nodes", first, others)
	}
}

// missingIn lists the nodes that are missing in some answers, each once, with the reason.
func missingIn(answers [][]missingNode) (all []string) {
	reasons := make(map[string]error)
	for _, missing := range answers {
		for _, m := range missing {
			reasons[m.node] = m.err
		}
	}
	for _, node := range slices.Sorted(maps.Keys(reasons)) {
		all = append(all, fmt.Sprintf("%s: %v", node, reasons[node]))
	}
	return all
}

// Do implements top.Source.
func (t *topSource) Do(ctx context.Context, a top.Action) (done string, err error) {
	switch a.Kind {
	case top.Kick:
		which := admin.SessionFilter{User: a.User, Session: a.Session}
		ended := 0
		all, except, err := changeAll[admin.Kicked](ctx, t.quiet(), admin.PathSessionsKick, which)
		for _, kicked := range all {
			ended += kicked.Ended
		}
		return fmt.Sprintf("Sessions of %s ended: %d.%s", a.User, ended, except), err
	case top.Log:
		log := admin.LogOnRequest{LogFilter: admin.LogFilter{User: a.User}, For: top.LogTime.Seconds()}
		_, except, err := changeAll[admin.LogRule](ctx, t.quiet(), admin.PathLogOn, log)
		return fmt.Sprintf("Logging for %v: portico log show --user %s.%s", top.LogTime, a.User, except), err
	}
	var pause time.Duration
	if a.Kind == top.Pause {
		pause = top.PauseTime
	}
	all, except, err := changeAll[admin.Change](ctx, t.quiet(), admin.PathOf(admin.PathServerPause, a.Server),
		admin.PauseRequest{Seconds: pause.Seconds()})
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s: was %s, now %s.%s", all[0].What, all[0].Was, all[0].Now, except), nil
}

// quiet returns the command for one request: without notes on the screen, and with memory of its own of what it has
// noted.
func (t *topSource) quiet() *apiCommand {
	own := *t.api
	own.notes = io.Discard
	return &own
}

// changeAll sends a change to all nodes. except says in a sentence which have not made it, if some have.
func changeAll[Answer any](ctx context.Context, api *apiCommand, path string, body any) (all []Answer, except string,
	err error) {
	answers, err := postAll[Answer](ctx, api, path, body)
	if err != nil {
		return nil, "", err
	}
	if missing := missingIn([][]missingNode{answers.missing}); len(missing) > 0 {
		except = " Not on " + strings.Join(missing, "; ")
	}
	return answers.list(), except, nil
}

// betweenReadings is the time between the two readings of --once: what users do a second takes two. Whoever waits for
// the answer wants it within a second.
const betweenReadings = 300 * time.Millisecond

// print prints what the screen would show.
func (t *topSource) print(ctx context.Context, cmd *cobra.Command, api *apiCommand) error {
	before, err := t.Read(ctx, &admin.SessionQuery{})
	if err != nil {
		return err
	}
	began := time.Now()
	select {
	case <-time.After(betweenReadings):
	case <-ctx.Done():
		return ctx.Err()
	}
	now, err := t.Read(ctx, &admin.SessionQuery{})
	if err != nil {
		return err
	}
	var incomplete error
	for _, missing := range now.Missing {
		api.note("node %s", missing)
		incomplete = errBadNews
	}
	totals, tables := top.Once(before, now, time.Since(began))
	if api.form == table.JSON || api.form == table.Name {
		return errors.Join(api.print(cmd, now, tables[len(tables)-1]), incomplete)
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
	return incomplete
}
