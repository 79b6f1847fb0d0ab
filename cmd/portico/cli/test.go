package cli

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"portico/backend/secret"
	"portico/configs"
	"portico/health"
	"portico/health/admin/table"
)

func newTest() *cobra.Command {
	return group(&cobra.Command{Use: "test", Short: "Test IMAP as a user would use it"}, newTestIMAP())
}

// connectivityRow is a row of Test-ImapConnectivity.
type connectivityRow struct {
	CasServer  string            `json:"cas_server"`
	Scenario   string            `json:"scenario"`
	Result     string            `json:"result"` // Success or Failure
	Latency    float64           `json:"latency_ms"`
	Error      string            `json:"error,omitempty"`
	Port       string            `json:"port"`
	Connection string            `json:"connection_type"`
	User       string            `json:"user_name"`
	Steps      []connectivityLap `json:"steps"`
}

type connectivityLap struct {
	Name string  `json:"name"`
	Ms   float64 `json:"ms"`
}

func newTestIMAP() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "imap HOST[:PORT]",
		Short: "Sign in to an IMAP server as a test user, store a message, find and delete it: Test-ImapConnectivity",
		Long: `Imap tests any IMAP server from this machine, this Portico or another server. It
needs a dedicated test user: it deletes test messages older than a day from the
INBOX.

Exit status: 0 the test succeeded, 1 it failed, 2 the test could not start.`,
		Example: "  portico test imap mail.example.org --user test@example.org --password-file test.password " +
			"--light-mode",
		Args: cobra.ExactArgs(1),
	}
	out := outputFlags(cmd)
	flags := cmd.Flags()
	kind := flags.String("connection-type", "ssl",
		"`ssl, tls or plaintext`: TLS from the first byte (port 993), by STARTTLS (143), or none (143)")
	user := flags.String("user", "", "test `user`")
	passwordFile := flags.String("password-file", "", "`file` with the user's password on one line")
	ca := flags.String("ca", "", "PEM `file` with the CA of the server's certificate; the default is the system's CAs")
	serverName := flags.String("server-name", "", "`name` that the certificate must have; the default is the host")
	anyCertificate := flags.Bool("trust-any-ssl-certificate", false,
		"do not verify the server's certificate: anyone between here and the server can read the password")
	light := flags.Bool("light-mode", false, "only sign in")
	timeout := flags.Duration("timeout", 3*time.Minute, "`time` limit of the whole test")
	cmd.MarkFlagRequired("user")
	cmd.MarkFlagRequired("password-file")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		for _, address := range []string{args[0], *serverName} {
			if err := secret.CheckHostPort(address); err != nil {
				return err
			}
		}
		password, err := configs.ReadPassword(*passwordFile)
		if err != nil {
			return err
		}
		test := health.Connectivity{User: *user, Password: secret.Value(password), Light: *light}
		port := "143"
		switch strings.ToLower(*kind) {
		case "ssl":
			test.Implicit, port = true, "993"
		case "tls":
			test.StartTLS = true
		case "plaintext":
		default:
			return fmt.Errorf("--connection-type must be ssl, tls or plaintext, not %q", *kind)
		}
		host := args[0]
		if h, p, err := net.SplitHostPort(args[0]); err == nil {
			host, port = h, p
		}
		test.Address = net.JoinHostPort(strings.Trim(host, "[]"), port)
		test.TLS = &tls.Config{ServerName: strings.Trim(host, "[]"), InsecureSkipVerify: *anyCertificate}
		if *serverName != "" {
			test.TLS.ServerName = *serverName
		}
		if *ca != "" {
			if test.TLS.RootCAs, err = configs.ReadCA(*ca); err != nil {
				return err
			}
		}
		if *anyCertificate && *kind != "plaintext" {
			fmt.Fprintln(cmd.ErrOrStderr(), "portico: warning: the server's certificate is not verified")
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), *timeout)
		defer cancel()
		run, began := new(health.Run), time.Now()
		err = test.Test(ctx, run)
		row := connectivityRow{
			CasServer: host, Scenario: "Test IMAP4 Connectivity", Result: "Success",
			Latency: float64(time.Since(began).Microseconds()) / 1000,
			Port:    port, Connection: strings.ToLower(*kind), User: *user, Steps: []connectivityLap{},
		}
		var steps []string
		for _, s := range run.Steps() {
			row.Steps = append(row.Steps, connectivityLap{s.Name, float64(s.Took.Microseconds()) / 1000})
			steps = append(steps, fmt.Sprintf("%s %.1f ms", s.Name, float64(s.Took.Microseconds())/1000))
		}
		if err != nil {
			row.Result, row.Error = "Failure", err.Error()
		}
		rows := table.New("CasServer", "Scenario", "Result", "Latency(MS)", "Error").Wide("Port", "ConnectionType",
			"UserName", "Steps").Keep("Result", "Error").Yield("Scenario")
		rows.Add(row.CasServer, row.Scenario, row.Result, fmt.Sprintf("%.2f", row.Latency), row.Error,
			row.Port, row.Connection, row.User, strings.Join(steps, ", "))
		if err := out.print(cmd, []connectivityRow{row}, rows); err != nil {
			return err
		}
		if err != nil {
			return errBadNews
		}
		return nil
	}
	return cmd
}
