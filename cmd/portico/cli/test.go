package cli

import (
	"cmp"
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
	CasServer  string             `json:"cas_server"`
	Scenario   string             `json:"scenario"`
	Result     string             `json:"result"` // Success or Failure
	Latency    float64            `json:"latency_ms"`
	Error      string             `json:"error,omitempty"`
	Port       string             `json:"port"`
	Connection string             `json:"connection_type"`
	User       string             `json:"user_name"`
	Steps      []connectivityStep `json:"steps"`
}

type connectivityStep struct {
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
	t := &imapTest{output: outputFlags(cmd)}
	t.addFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return t.do(cmd, args[0]) }
	return cmd
}

// imapTest holds the flags of test imap.
type imapTest struct {
	output         *output
	kind           string // how the connection uses TLS: ssl, tls or plaintext
	user           string
	passwordFile   string
	ca             string // PEM file
	serverName     string
	anyCertificate bool // certificates are not verified
	light          bool
	timeout        time.Duration
}

func (t *imapTest) addFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringVar(&t.kind, "connection-type", "ssl",
		"`ssl, tls or plaintext`: TLS from the first byte (port 993), by STARTTLS (143), or none (143)")
	flags.StringVar(&t.user, "user", "", "test `user`")
	flags.StringVar(&t.passwordFile, "password-file", "", "`file` with the user's password on one line")
	flags.StringVar(&t.ca, "ca", "",
		"PEM `file` with the CA of the server's certificate; the default is the system's CAs")
	flags.StringVar(&t.serverName, "server-name", "", "`name` that the certificate must have; the default is the host")
	flags.BoolVar(&t.anyCertificate, "trust-any-ssl-certificate", false,
		"do not verify the server's certificate: anyone between here and the server can read the password")
	flags.BoolVar(&t.light, "light-mode", false, "only sign in")
	flags.DurationVar(&t.timeout, "timeout", 3*time.Minute, "`time` limit of the whole test")
	cmd.MarkFlagRequired("user")
	cmd.MarkFlagRequired("password-file")
}

// do tests the server at an address and prints the result.
func (t *imapTest) do(cmd *cobra.Command, address string) error {
	test, err := t.connectivity(address)
	if err != nil {
		return err
	}
	if t.anyCertificate && t.kind != "plaintext" {
		fmt.Fprintln(cmd.ErrOrStderr(), "portico: warning: the server's certificate is not verified")
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), t.timeout)
	defer cancel()
	run, began := new(health.Run), time.Now()
	failed := test.Test(ctx, run)
	row := connectivityRow{
		Scenario: "Test IMAP4 Connectivity", Result: "Success", Latency: inMilliseconds(time.Since(began)),
		Connection: strings.ToLower(t.kind), User: t.user, Steps: []connectivityStep{},
	}
	row.CasServer, row.Port, _ = net.SplitHostPort(test.Address)
	for _, s := range run.Steps() {
		row.Steps = append(row.Steps, connectivityStep{s.Name, inMilliseconds(s.Took)})
	}
	if failed != nil {
		row.Result, row.Error = "Failure", failed.Error()
	}
	if err := t.output.print(cmd, []connectivityRow{row}, row.table()); err != nil {
		return err
	}
	if failed != nil {
		return errBadNews
	}
	return nil
}

// connectivity reads the flags into a test.
func (t *imapTest) connectivity(address string) (*health.Connectivity, error) {
	for _, a := range []string{address, t.serverName} {
		if err := secret.CheckHostPort(a); err != nil {
			return nil, err
		}
	}
	password, err := configs.ReadPassword(t.passwordFile)
	if err != nil {
		return nil, err
	}
	test := &health.Connectivity{User: t.user, Password: secret.Value(password), Light: t.light}
	port := "143"
	switch strings.ToLower(t.kind) {
	case "ssl":
		test.Implicit, port = true, "993"
	case "tls":
		test.StartTLS = true
	case "plaintext":
	default:
		return nil, fmt.Errorf("--connection-type must be ssl, tls or plaintext, not %q", t.kind)
	}
	host := address
	if h, p, err := net.SplitHostPort(address); err == nil {
		host, port = h, p
	}
	host = strings.Trim(host, "[]")
	test.Address = net.JoinHostPort(host, port)
	test.TLS = &tls.Config{ServerName: cmp.Or(t.serverName, host), InsecureSkipVerify: t.anyCertificate}
	if t.ca != "" {
		if test.TLS.RootCAs, err = configs.ReadCA(t.ca); err != nil {
			return nil, err
		}
	}
	return test, nil
}

// table shows the result of a test.
func (r connectivityRow) table() *table.Table {
	var steps []string
	for _, s := range r.Steps {
		steps = append(steps, fmt.Sprintf("%s %.1f ms", s.Name, s.Ms))
	}
	rows := table.New("CasServer", "Scenario", "Result", "Latency(MS)", "Error").
		Wide("Port", "ConnectionType", "UserName", "Steps").
		Keep("Result", "Error").Yield("Scenario")
	rows.Add(r.CasServer, r.Scenario, r.Result, fmt.Sprintf("%.2f", r.Latency), r.Error,
		r.Port, r.Connection, r.User, strings.Join(steps, ", "))
	return rows
}

// inMilliseconds converts a time to milliseconds.
func inMilliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
