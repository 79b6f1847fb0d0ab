package cli

import (
	"fmt"
	"regexp"
	"strconv"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// timeFlag adds a flag for a duration in the form of Go (2h30m) or PowerShell ([days.]hours:minutes[:seconds]).
func timeFlag(cmd *cobra.Command, name string, value time.Duration, usage string) *time.Duration {
	d := new(time.Duration)
	timeVar(cmd.Flags(), d, name, value, usage)
	return d
}

// timeVar is timeFlag for a variable. Help does not show a default of zero; the usage explains it.
func timeVar(flags *pflag.FlagSet, d *time.Duration, name string, value time.Duration, usage string) {
	*d = value
	flag := flags.VarPF((*timeSpan)(d), name, "", usage)
	if value == 0 {
		flag.DefValue = ""
	}
}

// untilAfter returns the time when --duration ends; zero without the flag.
func untilAfter(cmd *cobra.Command, d time.Duration) (until time.Time, err error) {
	switch {
	case !cmd.Flags().Changed("duration"):
		return until, nil
	case d <= 0:
		return until, fmt.Errorf("--duration %v is not in the future: leave it out for a change without an end", d)
	}
	return time.Now().Add(d).UTC().Truncate(time.Second), nil
}

// timeSpan is a pflag.Value.
type timeSpan time.Duration

// String implements pflag.Value.
func (s *timeSpan) String() string { return time.Duration(*s).String() }

// Type implements pflag.Value.
func (*timeSpan) Type() string { return "duration" }

// Set implements pflag.Value.
func (s *timeSpan) Set(text string) error {
	d, err := parseTime(text)
	*s = timeSpan(d)
	return err
}

// powerShellTime is a TimeSpan: 1.00:00:00 is a day, 00:30 half an hour, 00:00:01.5 one and a half seconds.
var powerShellTime = regexp.MustCompile(`^(-)?(?:(\d{1,5})\.)?(\d{1,2}):(\d{1,2})(?::(\d{1,2}(?:\.\d{1,7})?))?$`)

// parseTime parses a duration in Go's or PowerShell's form.
func parseTime(text string) (time.Duration, error) {
	parts := powerShellTime.FindStringSubmatch(text)
	if parts == nil {
		d, err := time.ParseDuration(text)
		if err != nil {
			return 0, fmt.Errorf("%q is not a time: write 90s, 2h30m, or 1.00:00:00 for a day", text)
		}
		return d, nil
	}
	number := func(part string, most float64) (float64, error) {
		if part == "" {
			return 0, nil
		}
		n, err := strconv.ParseFloat(part, 64)
		if err == nil && n >= most {
			err = fmt.Errorf("%q is not a time: %s is more than %v", text, part, most-1)
		}
		return n, err
	}
	var total time.Duration
	for i, unit := range []struct {
		of   time.Duration
		most float64
	}{{24 * time.Hour, 1e5}, {time.Hour, 24}, {time.Minute, 60}, {time.Second, 60}} {
		n, err := number(parts[2+i], unit.most)
		if err != nil {
			return 0, err
		}
		total += time.Duration(n * float64(unit.of))
	}
	if parts[1] != "" {
		total = -total
	}
	return total, nil
}
