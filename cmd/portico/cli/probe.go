package cli

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/configs"
	"portico/health"
	"portico/health/admin"
	"portico/health/admin/table"
)

func newProbe() *cobra.Command {
	return group(&cobra.Command{Use: "probe", Short: "List probes and run one now"},
		newProbeList(), newProbeHistory(), newProbeRun())
}

func newProbeList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [HEALTHSET|PROBE|HEALTHSET/PROBE[/TARGET]]",
		Short: "List the probes with their latest results",
		Long: `List lists the probes whose health set, name or identity matches the pattern: *
is any characters, ? is one.

Exit status: 0 the probes are listed, 2 Portico does not answer, or there is no
such probe.`,
		Example: "  portico probe list 'IMAP.*'\n  portico probe list --server mbx1 --failed",
		Args:    cobra.MaximumNArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	aboutServer(cmd)
	failed := cmd.Flags().Bool("failed", false, "only probes whose latest result is not a success")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		server, err := api.serverOrNode(cmd.Context())
		if err != nil {
			return err
		}
		var all []admin.ProbeRow
		if err := api.get(cmd.Context(), about(admin.PathProbes, server), &all); err != nil {
			return err
		}
		if len(args) == 1 {
			known := probeNames(all)
			all = slices.DeleteFunc(all, func(p admin.ProbeRow) bool { return !namesProbe(args[0], p) })
			if len(all) == 0 {
				return admin.NoSuch("probe", args[0], known)
			}
		}
		if *failed {
			all = slices.DeleteFunc(all, func(p admin.ProbeRow) bool {
				return len(p.Results) == 0 || p.Results[0].ResultType == health.Succeeded.String()
			})
		}
		return api.print(cmd, all, probeTable(all))
	}
	return cmd
}

// probeTable lists probes with their latest results.
func probeTable(probes []admin.ProbeRow) *table.Table {
	rows := table.New("Identity", "Result", "At", "Took").Wide("Interval")
	for _, p := range probes {
		row := []string{p.Identity, "", "", "", inSeconds(p.Interval).String()}
		if len(p.Results) > 0 {
			last := p.Results[0]
			row[1], row[2], row[3] = last.ResultType, table.Time(last.End), milliseconds(last.Seconds)
		}
		rows.Add(row...)
	}
	return rows
}

func milliseconds(seconds float64) string {
	return inSeconds(seconds).Round(100 * time.Microsecond).String()
}

func newProbeRun() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run HEALTHSET/PROBE[/TARGET]",
		Short: "Run a probe now and show its result: Invoke-MonitoringProbe",
		Long: `Run runs a probe once, on every target or on the named one. The result does not
count for the monitors.

Exit status: 0 the probe succeeded, 1 it failed, 2 the probe could not run.`,
		Example: "  portico probe run IMAP/ImapCTPProbe\n  portico probe run " +
			"IMAP.Protocol/ImapSelfTestProbe/mbx1 -o list",
		Args: cobra.ExactArgs(1),
	}
	api := apiFlags(cmd).aliasFlag(cmd)
	f := probeRunFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		set, rest, ok := strings.Cut(strings.ReplaceAll(args[0], `\`, "/"), "/") // Exchange's spelling too
		probe, target, _ := strings.Cut(rest, "/")
		if !ok || probe == "" {
			return fmt.Errorf("%q names no probe: write HEALTHSET/PROBE, as probe list shows it", args[0])
		}
		run, err := f.request(target)
		if err != nil {
			return err
		}
		var results []admin.ResultRow
		if err := api.post(cmd.Context(), admin.PathOf(admin.PathProbe, set, probe), run, &results); err != nil {
			return err
		}
		if err := api.printResults(cmd, results); err != nil {
			return err
		}
		for _, r := range results {
			if r.ResultType != health.Succeeded.String() {
				return errBadNews
			}
		}
		return nil
	}
	return cmd
}

// probeRun holds the flags of probe run.
type probeRun struct {
	timeout      *time.Duration
	account      string
	passwordFile string
	endpoint     string
	properties   map[string]string
}

func probeRunFlags(cmd *cobra.Command) *probeRun {
	f := &probeRun{timeout: timeFlag(cmd, "timeout", 0, "`time` limit; the default is the probe's own")}
	flags := cmd.Flags()
	flags.StringVar(&f.account, "account", "",
		"`user` to sign in as, instead of the health mailbox; needs --password-file")
	flags.StringVar(&f.passwordFile, "password-file", "", "`file` with the password of --account on one line")
	flags.StringVar(&f.endpoint, "endpoint", "",
		"`host:port` to test over TLS instead of this node's listener, for ImapCTPProbe; needs --account")
	flags.StringToStringVar(&f.properties, "property-override", nil,
		"`NAME=VALUE` in the probe's definition, for this run only: TimeoutSeconds, Write (0 or 1)")
	flags.Lookup("property-override").DefValue = ""
	return f
}

// request returns the request for the node. An empty target means all.
func (f *probeRun) request(target string) (admin.ProbeRun, error) {
	run := admin.ProbeRun{Target: target, Timeout: f.timeout.Seconds(), Account: f.account, Endpoint: f.endpoint,
		Properties: f.properties}
	if (f.account == "") != (f.passwordFile == "") {
		return run, fmt.Errorf("give --account and --password-file together")
	}
	var err error
	if f.passwordFile != "" {
		run.Password, err = configs.ReadPassword(f.passwordFile)
	}
	return run, err
}

// printResults prints the results of probe runs.
func (a *apiCommand) printResults(cmd *cobra.Command, results []admin.ResultRow) error {
	rows := table.New("ResultName", "ResultType", "Took", "_Mbx", "Dependency", "Error").
		Wide("Phase", "Steps", "LastSent", "LastReceived", "ExecutionStartTime", "Server", "Account",
			"ExecutionContext").
		Keep("ResultType", "Error")
	for _, r := range results {
		steps := []string{}
		for _, s := range r.Steps {
			steps = append(steps, fmt.Sprintf("%s %.1f ms", s.Name, s.Ms))
		}
		rows.Add(r.ResultName, r.ResultType, milliseconds(r.Seconds), r.Mailbox, r.Dependency, r.Error,
			r.Phase, strings.Join(steps, ", "), r.LastSent, r.LastReceived, table.Time(r.Start), r.Server,
			r.Account, r.Context)
	}
	return a.print(cmd, results, rows)
}

// probeNames lists the names of probes in all forms: alone, with their health set, and with their target.
func probeNames(all []admin.ProbeRow) (names []string) {
	for _, p := range all {
		names = append(names, p.Name, p.HealthSet+"/"+p.Name, p.Identity)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
