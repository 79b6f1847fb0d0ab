package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/spf13/cobra"
)

// Where the demo is, unless told otherwise.
const (
	demoIMAPPort  = 1143
	demoIMAPSPort = 1993
	demoHTTPPort  = 8143
)

// demoOptions are the flags of demo. A port of 0 is a free one.
type demoOptions struct {
	dir                            string
	imapPort, imapsPort, adminPort uint16
}

func newDemo() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the proxy with mailbox servers, users and mail of its own",
		Long: "Demo runs two mailbox servers in memory and the proxy in front of them, all on loopback, and prints " +
			"lines to\n" +
			"paste. Each database has a copy on each server. Nothing needs to be installed, and nothing is left " +
			"when the demo\n" +
			"ends, unless --dir is given.\n\n" +
			"Exit status: 0 the demo has run, 1 a port is taken, 2 it could not be started.",
		Args: cobra.NoArgs,
	}
	var o demoOptions
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", "", "`folder` for its files; a temporary one, removed at the end, by default")
	flags.Uint16Var(&o.imapPort, "imap-port", demoIMAPPort, "`port` for IMAP with STARTTLS; 0 for a free one")
	flags.Uint16Var(&o.imapsPort, "imaps-port", demoIMAPSPort, "`port` for IMAP over TLS; 0 for a free one")
	flags.Uint16Var(&o.adminPort, "http-port", demoHTTPPort, "`port` for HTTP; 0 for a free one")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		signals := notifySignals()
		defer signal.Stop(signals)
		err := demo(cmd.Context(), o, signals, cmd.OutOrStdout(), cmd.ErrOrStderr())
		if taken := portsTaken(nil); errors.As(err, &taken) {
			fmt.Fprintf(cmd.ErrOrStderr(), "portico: %v\n", taken)
			return errBadNews
		}
		return err
	}
	cmd.AddCommand(newDemoBreak(), newDemoMend())
	return cmd
}

// demo runs until a signal ends it. The proxy in it is served as any other, from a file.
func demo(ctx context.Context, o demoOptions, signals <-chan os.Signal, out, log io.Writer) error {
	dir, remove, err := demoFolder(o.dir)
	if err != nil {
		return err
	}
	defer remove()
	if err := o.pickPorts(ctx); err != nil {
		return err
	}
	site, err := startDemoSite(dir)
	if err != nil {
		return err
	}
	defer site.close()
	file, err := site.writeConfig(o)
	if err != nil {
		return err
	}
	control, err := site.openControl(ctx)
	if err != nil {
		return err
	}
	defer control.Close()
	return serve(file, signals, log, func(s *service) { io.WriteString(out, site.welcome(s)) })
}

// demoFolder makes the folder of the demo's files, and says how to get rid of it.
func demoFolder(dir string) (path string, remove func(), err error) {
	if dir == "" {
		dir, err = os.MkdirTemp("", "portico-demo-")
		return dir, func() { os.RemoveAll(dir) }, err
	}
	if dir, err = filepath.Abs(dir); err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return "", nil, fmt.Errorf("folder for the demo: %w", err)
	}
	return dir, func() {}, nil
}
