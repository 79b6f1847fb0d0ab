package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"time"

	"github.com/spf13/cobra"

	"portico/backend/backendtest"
	"portico/bench"
)

// maxSinkTime is the longest --duration of a sink, so that a forgotten sink ends.
const maxSinkTime = 24 * time.Hour

// sinkOptions are the flags of bench sink.
type sinkOptions struct {
	listen, cert, key, ca string
	duration              time.Duration
}

func newBenchSink() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "sink",
		Short: "Run an IMAP server that answers as fast as possible",
		Long: `Sink is a dummy IMAP server: it signs everybody in, answers OK to every command,
and accepts and discards mail. Behind a proxy it makes the proxy the only thing
that is measured. A mailbox called SIZEn has messages of n bytes. Use bench run
with --verify wire, or with the profiles fetch-5k and fetch-1m. Sink stops after
--duration.`,
		Args: cobra.NoArgs,
	}
	var o sinkOptions
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "127.0.0.1:1145", "`address` to listen on")
	flags.StringVar(&o.cert, "cert", "", "PEM `file` with a certificate: connections use implicit TLS")
	flags.StringVar(&o.key, "key", "", "PEM `file` with its key")
	flags.StringVar(&o.ca, "make-ca", "",
		"use TLS with a certificate created at start, and write its CA to this `file`")
	flags.DurationVar(&o.duration, "duration", time.Hour, "how long to run, `at most` 24h")
	remote := allowRemoteFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		ctx, stop := untilSignal(cmd.Context())
		defer stop()
		if _, err := bench.Resolve(ctx, net.DefaultResolver, o.listen, *remote); err != nil {
			return err
		}
		if o.duration <= 0 || o.duration > maxSinkTime {
			return fmt.Errorf("--duration %v: must be above 0 and at most %v", o.duration, maxSinkTime)
		}
		if (o.cert == "") != (o.key == "") || o.ca != "" && o.cert != "" {
			return errors.New("give --cert and --key together, or --make-ca alone")
		}
		return runSink(ctx, o, cmd.OutOrStdout())
	}
	return cmd
}

func runSink(ctx context.Context, o sinkOptions, out io.Writer) error {
	config, err := o.tls()
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", o.listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "listening on %s\n", ln.Addr())
	sink := backendtest.NewSink(config)
	ctx, cancel := context.WithTimeout(ctx, o.duration)
	defer cancel()
	closed := make(chan error, 1)
	go func() {
		<-ctx.Done()
		closed <- sink.Close()
	}()
	err = sink.Serve(ln)
	cancel()
	return errors.Join(err, <-closed)
}

// tls returns the TLS configuration of the flags; nil is no TLS.
func (o sinkOptions) tls() (*tls.Config, error) {
	if o.ca == "" && o.cert == "" && o.key == "" {
		return nil, nil
	}
	if o.ca == "" {
		pair, err := tls.LoadX509KeyPair(o.cert, o.key)
		return &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}, err
	}
	ca, err := backendtest.NewCA("Portico bench sink")
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(o.listen)
	if err != nil {
		return nil, err
	}
	cert, err := ca.Issue(backendtest.CertOptions{Hosts: []string{host, "localhost"}})
	if err != nil {
		return nil, err
	}
	return cert.ServerConfig(), os.WriteFile(o.ca, ca.CertPEM, 0o644)
}
