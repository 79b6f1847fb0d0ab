package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
	"portico/health/catalogue"
	"portico/health/recovery"
	"portico/sleep"
)

func newRunbook() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "runbook",
		Short: "Recover an unhealthy monitor step by step: check, act, check again",
		Long: `A runbook first runs the monitor's probe, and ends if the probe succeeds.
Otherwise it goes through its steps: it asks before each step, and runs the
probe again after it. When the probe succeeds, the runbook runs it twice more,
after --wait each time, before it reports the monitor as recovered. At its end
the runbook undoes what it has blocked, taken out of service or logged. Only a
server whose probe still fails stays blocked, until its monitor is Healthy. The
recovery log records each step: portico health recovery.

Exit status: 0 the monitor is healthy, 1 it is not, 2 the runbook could not
tell.`,
		Args: cobra.NoArgs,
	}
	for _, book := range recovery.Runbooks {
		cmd.AddCommand(newRunbookOf(book))
	}
	return cmd
}

func newRunbookOf(book recovery.Runbook) *cobra.Command {
	cmd := &cobra.Command{Use: book.Name, Short: "When " + book.Monitor + " is unhealthy", Args: cobra.NoArgs}
	if book.Of != "" {
		cmd.Use += " " + strings.ToUpper(book.Of)
		cmd.Args = cobra.ExactArgs(1)
	}
	var steps strings.Builder
	for i, s := range book.Steps {
		fmt.Fprintf(&steps, "  %d. %s\n", i+1, s.Text)
	}
	cmd.Long = "The runbook takes these steps until the probe succeeds:\n" + steps.String()
	w := &walk{book: book, api: apiFlags(cmd)}
	cmd.Flags().BoolVar(&w.auto, "auto", false,
		"take each step without asking, unless health.recovery.throttle forbids it")
	timeVar(cmd.Flags(), &w.wait, "wait", 10*time.Minute, "longest `time` for a restarted server to answer, and the "+
		"time before each of the two final checks")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 1 {
			w.target = args[0]
			if err := w.api.checkTarget(cmd.Context(), book.Of, w.target); err != nil {
				return err
			}
		}
		if w.wait < 0 {
			return fmt.Errorf("--wait %v: the time must not be negative", w.wait)
		}
		w.out, w.in = cmd.OutOrStdout(), bufio.NewReader(cmd.InOrStdin())
		if w.api.form == table.Plain {
			return w.run(cmd)
		}
		w.out = cmd.ErrOrStderr() // the dialogue with the operator; only the result goes to standard output
		err := w.run(cmd)
		if err != nil && !errors.Is(err, errBadNews) {
			return err
		}
		return errors.Join(w.result(cmd), err)
	}
	return cmd
}

// walk is one run of a runbook.
type walk struct {
	book    recovery.Runbook
	api     *apiCommand
	auto    bool
	wait    time.Duration
	target  string
	in      *bufio.Reader
	out     io.Writer
	outcome string                  // "" while it goes on
	server  string                  // the mailbox server that is looked at
	lifts   []admin.RecoveryRequest // what is to be undone
	done    []recovery.Record       // what steps have done and undone
}

// result prints how the runbook ended.
func (w *walk) result(cmd *cobra.Command) error {
	row := table.New("Runbook", "Target", "Outcome")
	row.Add(w.book.Name, w.target, w.outcome)
	return w.api.print(cmd, map[string]any{"runbook": w.book.Name, "target": w.target, "outcome": w.outcome,
		"done": w.done}, row)
}

func (w *walk) run(cmd *cobra.Command) error {
	ctx := cmd.Context()
	well, err := w.look(ctx)
	if err != nil {
		return err
	}
	if well {
		w.outcome = "healthy before the first step"
		fmt.Fprintln(w.out, "No fault found: nothing to do.")
		return nil
	}
	well, err = w.steps(cmd)
	if left := w.lift(context.WithoutCancel(ctx)); left != nil {
		return left
	}
	switch {
	case errors.Is(err, errQuit):
		w.outcome = "ended by the operator"
		fmt.Fprintf(w.out,
			"Ended: %s taken. What was blocked, taken out of service or logged has been undone. The monitor is not "+
				"healthy.\n", table.Counted(w.taken(), "step/ was/s were"))
		return errBadNews
	case err != nil:
		return err
	case well:
		w.outcome = "recovered"
		fmt.Fprintln(w.out, "Recovered.")
		return nil
	}
	w.outcome = "not recovered"
	fmt.Fprintln(w.out, "The monitor is not healthy. For whoever helps next: portico health bundle")
	return errBadNews
}

// errQuit ends a runbook because the operator said so.
var errQuit = errors.New("the operator ended the runbook")

// taken counts the steps that have succeeded.
func (w *walk) taken() (n int) {
	for _, record := range w.done {
		if record.Result == recovery.ResultSucceeded && !strings.HasPrefix(record.ID, "Allow") {
			n++
		}
	}
	return n
}

// steps does one step after another until all is well, or none is left.
func (w *walk) steps(cmd *cobra.Command) (well bool, err error) {
	ctx := cmd.Context()
	for i, step := range w.book.Steps {
		fmt.Fprintf(w.out, "\n%d. %s.\n", i+1, step.Text)
		switch {
		case step.SeeTo:
			if err := w.showServer(ctx); err != nil {
				return false, err
			}
			if first, err := w.unhealthyServer(ctx); err != nil || first != "" {
				if first != "" {
					fmt.Fprintf(w.out, "%s is unhealthy: run portico runbook %s first.\n", first, runbookFor(first))
				}
				return false, err
			}
			fmt.Fprintln(w.out, "They are healthy.")
			continue
		case step.Do != "":
			done, err := w.act(cmd, step.Do)
			if err != nil {
				return false, err
			}
			if !done {
				continue
			}
		}
		if well, err = w.helped(ctx, step); err != nil {
			return false, err
		}
		if !well {
			continue
		}
		if well, err = w.stays(ctx); well || err != nil {
			return well, err
		}
	}
	return false, nil
}

// helped checks whether a step has helped. After the restart of a mailbox server it repeats the check until the server
// is well or the wait is over, because the hook may return long before the server is back.
func (w *walk) helped(ctx context.Context, step recovery.Step) (well bool, err error) {
	if !step.Do.Restarts() {
		if step.Wait {
			if err := w.pause(ctx); err != nil {
				return false, err
			}
		}
		return w.look(ctx)
	}
	fmt.Fprintf(w.out, "Waiting up to %v for %s to come back.\n", w.wait, w.server)
	began := time.Now()
	for {
		if well, err := w.look(ctx); well || err != nil {
			return well, err
		}
		left := w.wait - time.Since(began)
		if left <= 0 {
			return false, nil
		}
		if err := sleep.For(ctx, min(left, max(w.wait/60, lookEach))); err != nil {
			return false, err
		}
	}
}

// lookEach is the shortest time between two checks of what was restarted.
const lookEach = time.Second

// stays repeats the check twice, with pauses.
func (w *walk) stays(ctx context.Context) (well bool, err error) {
	for range 2 {
		if err := w.pause(ctx); err != nil {
			return false, err
		}
		if well, err := w.look(ctx); err != nil || !well {
			return false, err
		}
	}
	return true, nil
}

func (w *walk) pause(ctx context.Context) error {
	fmt.Fprintf(w.out, "Waiting %v.\n", w.wait)
	return sleep.For(ctx, w.wait)
}

// look reports whether all is well, according to the probe or, without a probe, to the monitor.
func (w *walk) look(ctx context.Context) (well bool, err error) {
	if w.book.Probe == "" {
		m, err := w.monitor(ctx)
		if err != nil {
			return false, err
		}
		w.server = m.TargetResource
		fmt.Fprintf(w.out, "%s %s is %s %s\n", m.Name, m.TargetResource, m.AlertValue, visibleText(m.Error))
		return m.AlertValue == health.Healthy.String() || m.AlertValue == health.UnInitialized.String(), nil
	}
	var results []admin.ResultRow
	path := admin.PathOf(admin.PathProbe, w.book.Set, w.book.Probe)
	if err := w.api.post(ctx, path, admin.ProbeRun{Target: w.target}, &results); err != nil {
		return false, err
	}
	if len(results) != 1 {
		return false, fmt.Errorf("%s returned no result", w.book.Probe)
	}
	r := results[0]
	if r.Mailbox != "" {
		w.server = r.Mailbox
	}
	fmt.Fprintf(w.out, "%s: %s", r.ResultName, r.ResultType)
	if r.Error != "" {
		fmt.Fprintf(w.out, ", %s, _Mbx:%s: %s", r.Dependency, r.Mailbox, visibleText(r.Error))
	}
	fmt.Fprintln(w.out)
	return r.ResultType == health.Succeeded.String(), nil
}

// monitors lists the monitors that match.
func (w *walk) monitors(ctx context.Context, fits func(admin.MonitorRow) bool) ([]admin.MonitorRow, error) {
	var all []admin.MonitorRow
	err := w.api.get(ctx, admin.PathMonitors, &all)
	return slices.DeleteFunc(all, func(m admin.MonitorRow) bool { return !fits(m) }), err
}

func (w *walk) monitor(ctx context.Context) (admin.MonitorRow, error) {
	found, err := w.monitors(ctx,
		func(m admin.MonitorRow) bool { return m.Name == w.book.Monitor && m.TargetResource == w.target })
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("there is no %s for %q", w.book.Monitor, w.target)
	}
	if err != nil {
		return admin.MonitorRow{}, err
	}
	return found[0], nil
}

// unhealthyServer names a monitor of the mailbox server that has to be handled before this one.
func (w *walk) unhealthyServer(ctx context.Context) (identity string, err error) {
	found, err := w.monitors(ctx, func(m admin.MonitorRow) bool {
		e := catalogue.Of(m.Name)
		of := m.TargetResource == w.server
		if e.Scope == catalogue.ScopeDatabase {
			of = m.Mailbox == w.server || m.TargetResource == w.target
		}
		return of && e.Evidence == catalogue.FromServer && (m.AlertValue == health.Unhealthy.String() ||
			m.AlertValue == health.Degraded.String() && m.FirstAlert != nil)
	})
	if err != nil || len(found) == 0 {
		return "", err
	}
	return found[len(found)-1].Name + "/" + found[len(found)-1].TargetResource, nil
}

// runbookFor returns the command line of the runbook for a monitor.
func runbookFor(identity string) string {
	name, target, _ := strings.Cut(identity, "/")
	for _, book := range recovery.Runbooks {
		if book.Monitor == name {
			return book.Name + " " + target
		}
	}
	return ""
}

// act asks for confirmation of a step, and does it.
func (w *walk) act(cmd *cobra.Command, action recovery.Action) (done bool, err error) {
	if !w.auto {
		ok, err := w.agreed()
		if err != nil || !ok {
			return false, err
		}
	}
	request := admin.RecoveryRequest{Action: action, Server: w.server, By: "runbook " + w.book.Name, Machine: w.auto}
	if w.book.Of == "database" {
		request.Database = w.target
	}
	record, err := w.api.recover(cmd, request)
	if err != nil { // the next step may help nevertheless
		fmt.Fprintf(w.out, "The step failed: %s\n", visibleText(err.Error()))
		return false, nil
	}
	w.done = append(w.done, record)
	fmt.Fprintf(w.out, "%s: %s\n", record.Result, visibleText(record.Message))
	if record.Result != recovery.ResultSucceeded && record.Result != recovery.ResultIncomplete {
		return false, nil
	}
	request.Lift = true
	w.lifts = append(w.lifts, request)
	return record.Result == recovery.ResultSucceeded, nil
}

// agreed asks whether to do a step.
func (w *walk) agreed() (bool, error) {
	for {
		fmt.Fprint(w.out, "Do it? [yes, skip, quit] ")
		line, err := w.in.ReadString('\n')
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return true, nil
		case "s", "skip":
			return false, nil
		case "q", "quit":
			return false, errQuit
		case "":
		default:
			fmt.Fprintf(w.out,
				"%q is not an answer: yes takes the step, skip goes on to the next one, quit ends the runbook.\n",
				strings.TrimSpace(line))
		}
		if err != nil {
			fmt.Fprintln(w.out)
			return false, fmt.Errorf("there is no answer: --auto takes the steps without asking")
		}
	}
}

// lift undoes what steps have done, the latest first.
func (w *walk) lift(ctx context.Context) error {
	var failed error
	for _, request := range slices.Backward(w.lifts) {
		var record recovery.Record
		switch err := w.api.post(ctx, admin.PathRecovery, request, &record); {
		case err != nil:
			failed = fmt.Errorf("cannot undo %s: %w", request.Action, err)
		case record.Result == recovery.ResultSkipped:
			fmt.Fprintf(w.out, "%s: %s\n", record.ID, visibleText(record.Message))
		case record.ID != "":
			w.done = append(w.done, record)
		}
	}
	return failed
}
