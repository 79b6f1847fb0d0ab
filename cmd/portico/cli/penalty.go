package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/health/admin"
	"portico/health/admin/table"
)

func newPenalty() *cobra.Command {
	return group(&cobra.Command{
		Use:   "penalty",
		Short: "List and clear authentication delays after failed sign-ins",
		Long: `Portico delays the answer to a refused sign-in, longer with each failure of the
user or the address. After too many guesses it also holds a sign-in before it
checks the password. Penalties lock nobody out, and a restart clears them.`,
	}, newPenaltyList(), newPenaltyClear())
}

func newPenaltyList() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List the penalties, latest failures first",
		Long: `Each penalty is for a user, for a network (an IPv4 address or an IPv6 /64), or
for a user at a network. Wait is the delay of the answer to the next refused
sign-in. Guesses is how many wrong passwords Portico checks at once now, and
after a quiet time. When none is left, sign-ins wait until their password is
checked; Held, with -o wide, counts the waiting sign-ins. Each node counts the
failures that it has seen.` + aboutSite,
		Example: "  portico penalty list --user alice",
		Args:    cobra.NoArgs,
	}
	api := siteFlags(cmd)
	var which admin.PenaltyFilter
	cmd.Flags().StringVar(&which.User, "user", "",
		"only penalties of this `user`; the name is looked up as at sign-in")
	cmd.Flags().StringVar(&which.IP, "ip", "", "only penalties of this `address or network`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		nobody, err := api.guessedAt(cmd.Context(), &which)
		if err != nil {
			return err
		}
		query := url.Values{"user": {which.User}, "ip": {which.IP}}
		answers, err := getAll[[]admin.Penalty](cmd.Context(), api, admin.PathPenalties+"?"+query.Encode())
		if err != nil {
			return err
		}
		all := penaltiesOf(answers)
		if len(all) == 0 && nobody != nil && answers.incomplete() == nil {
			return nobody
		}
		return cmp.Or(api.printPenalties(cmd, all), answers.incomplete())
	}
	return cmd
}

// penaltiesOf lists the penalties of all nodes, latest failures first.
func penaltiesOf(answers *fromNodes[[]admin.Penalty]) []admin.Penalty {
	all := rowsOf(answers, func(p *admin.Penalty) *string { return &p.Node })
	slices.SortStableFunc(all, func(a, b admin.Penalty) int { return lastOf(b).Compare(lastOf(a)) })
	return all
}

// lastOf is when the last failure was. Without one it is the zero time.
func lastOf(p admin.Penalty) (at time.Time) {
	if p.Last != nil {
		at = *p.Last
	}
	return at
}

// guessedAt changes the filter's user to the canonical name. An unknown user may have penalties too; nobody is the
// error to show if not.
func (a *apiCommand) guessedAt(ctx context.Context, which *admin.PenaltyFilter) (nobody, err error) {
	if which.User == "" {
		return nil, nil
	}
	name, err := a.user(ctx, which.User)
	if err == nil && name.Standing == admin.StandingUnknown {
		nobody = admin.NoSuchUser(which.User, name.User)
	}
	which.User = name.User
	return nobody, err
}

// printPenalties prints penalties.
func (a *apiCommand) printPenalties(cmd *cobra.Command, all []admin.Penalty) error {
	rows := table.New("User", "Address", "Wait", "Guesses", "Last", "Reason").Wide("Failures", "Held").
		Keep("Wait", "Reason")
	var nodes []string
	for _, p := range all {
		guesses := ""
		if p.Burst > 0 {
			guesses = fmt.Sprintf("%.0f of %.0f", p.Guesses, p.Burst)
		}
		rows.AddNamed(cmp.Or(p.User, p.Address), p.User, p.Address, inSeconds(p.Wait).Round(time.Second).String(),
			guesses, shownTime(p.Last), penaltyReason(p), strconv.Itoa(p.Failures), strconv.Itoa(p.Held))
		nodes = append(nodes, p.Node)
	}
	return a.print(cmd, all, rows.Second("Node", nodes))
}

// penaltyReason says why sign-ins are delayed.
func penaltyReason(p admin.Penalty) string {
	var reasons []string
	if p.Failures > 0 {
		reasons = append(reasons, table.Counted(p.Failures, "failed sign-in"))
	}
	switch {
	case p.Held > 0:
		reasons = append(reasons, "too many guesses, "+table.Counted(p.Held, "sign-in")+" held")
	case p.Burst > 0 && p.Guesses < 1:
		reasons = append(reasons, "too many guesses")
	}
	return strings.Join(reasons, "; ")
}

func newPenaltyClear() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "clear [USER]",
		Short: "Clear the penalties of a user or an address",
		Long: `Clear forgets the failures. The next refusal waits for the shortest delay again,
and held sign-ins are checked at once. Clear lists what it has removed. It does
not clear the penalties of the addresses that a user signs in from: use --ip for
them.` + aboutSite,
		Example: "  portico penalty clear alice\n  portico penalty clear --ip 192.0.2.7",
		Args:    cobra.MaximumNArgs(1),
	}
	api := siteFlags(cmd)
	var which admin.PenaltyFilter
	cmd.Flags().StringVar(&which.IP, "ip", "",
		"only penalties of this `address or network`; with USER, those of the user there")
	cmd.Flags().BoolVar(&which.All, "all", false, "clear all penalties; asks first")
	yes := yesFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		which.User = strings.Join(args, "")
		if which.All == (which.User != "" || which.IP != "") {
			return errors.New("portico penalty clear needs USER, --ip or --all")
		}
		nobody, err := api.guessedAt(cmd.Context(), &which)
		if err != nil {
			return err
		}
		if which.All && !*yes {
			if err := confirm(cmd, "This clears the penalties of all users and addresses."); err != nil {
				return err
			}
		}
		answers, err := postAll[[]admin.Penalty](cmd.Context(), api, admin.PathPenaltiesClear, which)
		if err != nil {
			return err
		}
		cleared := penaltiesOf(answers)
		if len(cleared) == 0 && nobody != nil { // an unknown user, and no penalty to clear
			api.note("%v", nobody)
		}
		return cmp.Or(api.printCleared(cmd, which, cleared), answers.incomplete())
	}
	return cmd
}

// printCleared prints the penalties that were cleared.
func (a *apiCommand) printCleared(cmd *cobra.Command, which admin.PenaltyFilter, cleared []admin.Penalty) error {
	if a.forPeople() {
		fmt.Fprintf(cmd.OutOrStdout(), "%s cleared.\n", table.Counted(len(cleared), "penalt/y/ies"))
		a.addressesLeft(cmd, which, cleared)
		if len(cleared) == 0 {
			return nil
		}
		fmt.Fprintln(cmd.OutOrStdout())
	}
	return a.printPenalties(cmd, cleared)
}

// addressesLeft prints the addresses of the user's sign-ins, because an address may have its own penalty.
func (a *apiCommand) addressesLeft(cmd *cobra.Command, which admin.PenaltyFilter, cleared []admin.Penalty) {
	if which.User == "" {
		return
	}
	var named []netip.Prefix // several nodes may have cleared penalties of one address
	for _, p := range cleared {
		if network, err := netip.ParsePrefix(p.Address); err == nil && !slices.Contains(named, network) {
			named = append(named, network)
			fmt.Fprintf(cmd.OutOrStdout(), "The address may have its own penalty: portico penalty list --ip %s\n",
				network)
		}
	}
}
