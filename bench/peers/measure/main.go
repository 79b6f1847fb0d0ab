//go:build unix

// Measure runs Portico and other proxies side by side, prints one table, and writes it into docs/performance.md. It is
// a program of its own, not a subcommand of portico: it needs the source tree, and nobody should carry it into
// production.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"

	"portico/bench/peers"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(2)
	}
}

func run(args []string) error {
	if asked, err := peers.Role(args); asked {
		return err
	}
	flags := flag.NewFlagSet("measure", flag.ContinueOnError)
	rounds := flags.Int("rounds", 7, "how often each peer takes its turn; fewer are good for trying out")
	memoryRounds := flags.Int("memory-rounds", 0, "the same for the memory rows; 0 is as for others")
	only := flags.String("only", "", "measure only rows that match this regular `expression`; writes no document")
	root := flags.String("root", "", "`folder` with another Debian (scripts/peers-root), whose proxies are measured")
	beside := flags.String("beside", "",
		"another Portico `program`, to measure beside instead of the other proxies; writes no document")
	profile := flags.String("profile", "",
		"measure nothing, and write to this `file` where Portico's processor time goes, for go build")
	document := flags.String("document", "", "Markdown `file` whose figures are replaced")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *rounds < 1 || flags.NArg() > 0 {
		return fmt.Errorf("want at least one round and no arguments")
	}
	o := peers.Options{Rounds: *rounds, MemoryRounds: cmp.Or(*memoryRounds, *rounds), Log: os.Stderr, Root: *root,
		Beside: *beside}
	if *only != "" {
		var err error
		if o.Only, err = regexp.Compile(*only); err != nil {
			return err
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *profile != "" {
		return peers.Profile(ctx, *profile)
	}
	result, err := peers.Measure(ctx, o)
	if result != nil {
		fmt.Print(result.Text())
	}
	if err != nil || *document == "" || o.Only != nil || o.Beside != "" {
		return err
	}
	return result.UpdateFile(*document)
}
