package cli

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portico/configs/suggest"
	"portico/health/admin"
)

// plainErrors replaces the errors of cobra and pflag about a command line with sentences that say what to write.
func plainErrors(cmd *cobra.Command) {
	cmd.SetFlagErrorFunc(flagError)
	if cmd.Runnable() {
		accepts := cmd.Args
		cmd.Args = func(cmd *cobra.Command, args []string) error { return checkArgs(cmd, args, accepts) }
	}
	for _, below := range cmd.Commands() {
		plainErrors(below)
	}
}

// placeholder is an argument in a command's usage: SERVER, or [COMPONENT].
var placeholder = regexp.MustCompile(`(?:^| )([A-Z][A-Za-z|/:=.\-\[\]]*|\[[A-Z][^ ]*)`)

// checkArgs checks the arguments, and that no required flag is missing.
func checkArgs(cmd *cobra.Command, args []string, accepts cobra.PositionalArgs) error {
	for _, arg := range args {
		if arg == "" || arg == "." || arg == ".." { // no name has these, and no path of the API can hold them
			return fmt.Errorf("%s: the argument %q is not a name", cmd.CommandPath(), arg)
		}
	}
	if accepts != nil && accepts(cmd, args) != nil {
		return argumentError(cmd, args)
	}
	missing := []string{}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if _, required := f.Annotations[cobra.BashCompOneRequiredFlag]; required && !f.Changed {
			missing = append(missing, "--"+f.Name)
		}
	})
	if len(missing) > 0 {
		return fmt.Errorf("%s needs %s", cmd.CommandPath(), strings.Join(missing, " and "))
	}
	return nil
}

// argumentError returns the error that names a command's arguments.
func argumentError(cmd *cobra.Command, args []string) error {
	_, usage, _ := strings.Cut(cmd.Use, " ")
	var wanted []string
	for _, match := range placeholder.FindAllStringSubmatch(usage, -1) {
		if !strings.HasPrefix(match[1], "[") {
			wanted = append(wanted, match[1])
		}
	}
	switch {
	case cmd.HasAvailableSubCommands():
		return noCommand(cmd, args)
	case usage == "" || strings.HasPrefix(usage, "--"):
		return fmt.Errorf("%s takes no argument, but %q was given", cmd.CommandPath(), args[0])
	case len(args) < len(wanted):
		return fmt.Errorf("%s needs %s: write %s", cmd.CommandPath(), strings.Join(wanted[len(args):], " and "),
			cmd.UseLine())
	}
	return fmt.Errorf("%s: unexpected argument %q: write %s", cmd.CommandPath(), args[len(args)-1], cmd.UseLine())
}

// valueOf describes the value of a flag by the name of its type.
var valueOf = map[string]string{
	"duration": "a time such as 90s, 10m or 2h", "int": "a whole number", "uint16": "a number from 0 to 65535",
	"uint64":  "a whole number, not negative",
	"float64": "a number", "bool": "true or false", "intSlice": "whole numbers",
}

// flagError explains an error about a flag.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var missing *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.Is(err, pflag.ErrHelp):
		return err
	case errors.As(err, &unknown):
		return unknownFlag(cmd, unknown.GetSpecifiedName(), unknown.GetSpecifiedShortnames())
	case errors.As(err, &missing):
		return fmt.Errorf("%s: %s needs a value", cmd.CommandPath(), flagText(missing.GetSpecifiedName()))
	case errors.As(err, &invalid):
		flag := invalid.GetFlag()
		must, known := valueOf[flag.Value.Type()]
		if !known {
			return fmt.Errorf("%s: --%s %q: %w", cmd.CommandPath(), flag.Name, invalid.GetValue(),
				errors.Unwrap(invalid))
		}
		return fmt.Errorf("%s: --%s %q must be %s", cmd.CommandPath(), flag.Name, invalid.GetValue(), must)
	}
	return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
}

func flagText(name string) string {
	if len(name) == 1 {
		return "-" + name
	}
	return "--" + name
}

// unknownFlag suggests the flag that the user may have meant.
func unknownFlag(cmd *cobra.Command, name, letters string) error {
	if admin.IsOperator("-"+letters) && cmd.Flags().Lookup("where") != nil {
		return fmt.Errorf("%s: -%s belongs to a condition: put the whole condition in quotes, as in --where 'FIELD "+
			"-%s VALUE'",
			cmd.CommandPath(), letters, letters)
	}
	if letters != "" {
		return fmt.Errorf("%s has no flag -%s: %s --help lists the flags", cmd.CommandPath(), name, cmd.CommandPath())
	}
	known := make(map[string]bool)
	cmd.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = !f.Hidden })
	if below := commandWith(cmd, name); below != "" {
		return fmt.Errorf("%s has no flag --%s, but its subcommands have: write it after the subcommand, as in %s "+
			"--%s VALUE", cmd.CommandPath(), name, below, name)
	}
	if name == "server" && known["node"] {
		return fmt.Errorf("%s has no flag --server, which names a mailbox server: --node asks another Portico",
			cmd.CommandPath())
	}
	if near := suggest.Nearest(name, slices.Sorted(maps.Keys(known))); near != "" {
		return fmt.Errorf("%s has no flag --%s: did you mean --%s?", cmd.CommandPath(), name, near)
	}
	return fmt.Errorf("%s has no flag --%s: %s --help lists the flags", cmd.CommandPath(), name, cmd.CommandPath())
}

// commandWith returns the path of the first command below cmd that has a flag, "" if none has.
func commandWith(cmd *cobra.Command, flag string) string {
	for _, below := range cmd.Commands() {
		if below.Flags().Lookup(flag) != nil {
			return below.CommandPath()
		}
		if path := commandWith(below, flag); path != "" {
			return path
		}
	}
	return ""
}
