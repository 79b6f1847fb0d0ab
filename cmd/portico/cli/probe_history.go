package cli

import (
	"slices"

	"github.com/spf13/cobra"

	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
)

func newProbeHistory() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "history HEALTHSET/PROBE[/TARGET]",
		Short: "List the kept results of a probe, latest first: its ProbeResult events",
		Long: `History lists the results that Portico keeps of each probe: the last 20
successes and the last 60 failures. The name may have * for any characters and ?
for one.

Exit status: 0 the results are listed, 2 Portico does not answer, or there is no
such probe.`,
		Example: "  portico probe history IMAP/ImapCTPProbe/db1\n  portico probe history 'IMAP*/*' --failed -o list",
		Args:    cobra.ExactArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	failed := cmd.Flags().Bool("failed", false, "only results that are not a success")
	last := cmd.Flags().Int("last", 20, "at most this `number` of results of each probe; 0 for all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var probes []admin.ProbeRow
		if err := api.get(cmd.Context(), admin.PathProbes, &probes); err != nil {
			return err
		}
		known := probeNames(probes)
		probes = slices.DeleteFunc(probes, func(p admin.ProbeRow) bool { return !namesProbe(args[0], p) })
		if len(probes) == 0 {
			return admin.NoSuch("probe", args[0], known)
		}
		results := []admin.ResultRow{}
		for _, p := range probes {
			results = append(results, chosenResults(p.Results, *failed, *last)...)
		}
		rows := table.New("ExecutionStartTime", "ResultName", "ResultType", "Took", "_Mbx", "Error").
			Wide("Dependency", "Phase", "Account", "ByHand", "HealthSetName", "Server").
			Keep("ResultType", "Error")
		for _, r := range results {
			rows.AddNamed(r.ResultName, table.Time(r.Start), r.ResultName, r.ResultType, milliseconds(r.Seconds),
				r.Mailbox, r.Error,
				r.Dependency, r.Phase, r.Account, yesNo(r.ByHand), r.HealthSetName, r.Server)
		}
		return api.print(cmd, results, rows)
	}
	return cmd
}

// chosenResults returns the latest results, at most limit of them; 0 is no limit.
func chosenResults(results []admin.ResultRow, failedOnly bool, limit int) (chosen []admin.ResultRow) {
	for _, r := range results {
		if limit > 0 && len(chosen) == limit {
			break
		}
		if !failedOnly || r.ResultType != health.Succeeded.String() {
			chosen = append(chosen, r)
		}
	}
	return chosen
}

// namesProbe reports whether a pattern matches a probe's identity, name or health set.
func namesProbe(pattern string, p admin.ProbeRow) bool {
	return fitsAny(pattern, p.Identity, p.HealthSet+"/"+p.Name, p.Name, p.HealthSet)
}
