package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
	"portico/health/recovery"
)

func newHealthRecovery() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "recovery",
		Short: "Show recovery in progress and the recovery log: RecoveryActionResults",
		Long: `Recovery shows the monitors in recovery, with the next step of each and what
holds it up. Below them it lists past recovery actions, latest first, with their
results and the reasons for actions not taken.`,
		Args: cobra.NoArgs,
	}
	api := apiFlags(cmd)
	most := cmd.Flags().Int("last", 20, "at most this `number` of entries of the log; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		var state admin.RecoveryState
		if err := api.get(cmd.Context(), admin.PathRecovery, &state); err != nil {
			return err
		}
		shown := state
		if *most > 0 && len(state.Records) > *most {
			shown.Records = state.Records[:*most]
		}
		if api.forPeople() || api.form == table.List && !api.noHeaders {
			fmt.Fprintln(cmd.OutOrStdout(), recoveryMode(state))
			if len(state.Ladders) > 0 {
				rows := table.New("Monitor", "UnhealthySince", "StepsDone", "Next", "Note").
					Keep("Next", "Note").Yield("StepsDone")
				for _, l := range state.Ladders {
					rows.Add(l.Monitor, table.Time(l.Since), stepsDone(state, l), nextStep(state, l), l.Note)
				}
				fmt.Fprintln(cmd.OutOrStdout())
				if err := api.print(cmd, nil, rows); err != nil {
					return err
				}
			}
			if len(state.Records) == 0 {
				return nil
			}
			fmt.Fprintln(cmd.OutOrStdout())
		}
		return api.printRecoveryLog(cmd, shown)
	}
	return cmd
}

func recoveryMode(s admin.RecoveryState) string {
	off := ""
	if len(s.OffFor) > 0 {
		off = " Recovery is off for " + strings.Join(s.OffFor, ", ") + ": run portico component get."
	}
	switch {
	case !s.Active:
		return "Recovery is off: component RecoveryActionsEnabled is Inactive."
	case s.Mode == recovery.Off:
		return "Recovery is off: health.recovery.mode is off."
	case s.Mode == recovery.DryRun:
		return "Recovery takes no action: health.recovery.mode is dry_run."
	case slices.ContainsFunc(s.Records, func(r recovery.Record) bool { return r.State == recovery.Started }):
		return "Recovery is in progress." + off
	case len(s.Ladders) == 0:
		return "No monitor needs recovery." + off
	}
	for _, l := range s.Ladders {
		if l.Begun != 0 || !l.ForPeople && !l.Since.IsZero() {
			return "Recovery is in progress." + off
		}
	}
	return "Recovery has no step left: a monitor has to become healthy, or a person has to act." + off
}

// stepsDone says how many steps of a monitor are over, and how many of those were done; the others were skipped.
func stepsDone(s admin.RecoveryState, l recovery.Ladder) string {
	steps := 0
	for _, action := range s.Steps[monitorName(l.Monitor)] {
		if action != recovery.Escalate {
			steps++
		}
	}
	done := 0
	for _, r := range s.Records {
		if r.Monitor == l.Monitor && r.Result == recovery.ResultSucceeded && !r.Start.Before(l.Since) &&
			!l.Since.IsZero() {
			done++
		}
	}
	return fmt.Sprintf("%d of %d, %d done", min(l.Rung, steps), steps, done)
}

// nextStep names the next step and its time. It says that people were notified only after that has happened.
func nextStep(s admin.RecoveryState, l recovery.Ladder) string {
	name, steps := "", s.Steps[monitorName(l.Monitor)]
	if l.Rung < len(steps) && steps[l.Rung] != recovery.Escalate {
		name = steps[l.Rung].ID() + " "
	}
	switch {
	case l.Begun != 0:
		return strings.TrimSpace(name + "in progress")
	case !l.Due.IsZero() && l.Postponed < len(steps):
		return steps[l.Postponed].ID() + " at " + table.Time(l.Due)
	case l.ForPeople && l.Escalated && s.Tells:
		return "alert sent"
	case l.ForPeople && !s.Tells:
		return "no step left; the alert is only in the log, because health.escalate is empty"
	case l.ForPeople:
		return "no step left; an alert follows"
	case l.Since.IsZero():
		return "none: the monitor is healthy"
	case l.Next.IsZero():
		return name + "now"
	}
	return name + "at " + table.Time(l.Next)
}

// monitorName returns the name in a monitor's identity HEALTHSET/NAME[/TARGET].
func monitorName(id string) string {
	if parts := strings.Split(id, "/"); len(parts) > 1 {
		return parts[1]
	}
	return id
}

// printRecoveryLog prints entries of the recovery log.
func (a *apiCommand) printRecoveryLog(cmd *cobra.Command, state admin.RecoveryState) error {
	rows := table.New("StartTime", "Id", "ResourceName", "RequestorName", "Result", "Context").
		Wide("EndTime", "InstanceId", "State", "Monitor", "ThrottleIdentity", "ThrottleParameters",
			"LamProcessStartTime").
		Keep("Id", "Result", "Context").Yield("RequestorName")
	for _, r := range state.Records {
		what := strings.TrimSuffix(strings.TrimPrefix(r.Message+": "+r.Exception, ": "), ": ")
		if again := allowedAgain(r); again != "" {
			what += "; " + again
		}
		result := string(r.Result)
		if r.State == recovery.Started {
			result = "(in progress)"
		}
		rows.AddNamed(cmp.Or(r.Monitor, r.Resource), table.Time(r.Start), r.ID, r.Resource, r.Requestor, result, what,
			table.Time(r.End), fmt.Sprint(r.Instance), string(r.State), r.Monitor, r.ThrottledBy, r.Throttle,
			table.Time(r.ProcessStart))
	}
	return a.print(cmd, state, rows)
}

// allowedAgain says when a throttled action is allowed again, and what moves users until then.
func allowedAgain(r recovery.Record) (text string) {
	if r.Result != recovery.ResultThrottled {
		return ""
	}
	if !r.AllowedAgain.IsZero() {
		text = "allowed again at " + table.Time(r.AllowedAgain)
	}
	if r.ID == recovery.Failover.ID() {
		text += "; to move its databases now: portico server block " + r.Resource + " --move"
	}
	return strings.TrimPrefix(text, "; ")
}
