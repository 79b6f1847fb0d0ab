package cli

import (
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func newServe(node Node) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the proxy",
		Long: `Serve runs the proxy in the foreground and logs to standard error.

SIGHUP reads the configuration and the certificates again; open sessions
continue. SIGTERM and SIGINT stop Portico: sessions may finish their open
command within shutdown_timeout. A second signal stops it at once.`,
		Args: cobra.NoArgs,
	}
	file := configFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		signals := notifySignals()
		defer signal.Stop(signals)
		return node.Serve(*file, signals, cmd.ErrOrStderr(), func([]net.Addr, net.Addr) {})
	}
	return cmd
}

func notifySignals() chan os.Signal {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return signals
}
