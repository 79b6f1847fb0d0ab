package main

import (
	"context"
	"fmt"
	"io"
	"net"
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
			"ends, unless --dir is given.",
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
		return demo(cmd.Context(), o, signals, cmd.OutOrStdout(), cmd.ErrOrStderr())
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
	site, err := startDemoSite(dir)
	if err != nil {
		return err
	}
	defer site.close()
	if err := o.pickPorts(); err != nil {
		return err
	}
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

// pickPorts replaces ports of 0 by free ones, so that the file in the folder says what is.
func (o *demoOptions) pickPorts() error {
	for _, port := range []*uint16{&o.imapPort, &o.imapsPort, &o.adminPort} {
		if *port != 0 {
			continue
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer ln.Close() // after all are picked: no port is picked twice
		*port = uint16(ln.Addr().(*net.TCPAddr).Port)
	}
	return nil
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
