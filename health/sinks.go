package health

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"portico/backend/secret"
)

// SinkFunc makes a Sink of a function.
type SinkFunc func(ctx context.Context, a Alert) error

// Send implements Sink.
func (f SinkFunc) Send(ctx context.Context, a Alert) error { return f(ctx, a) }

// Name implements Sink: nobody is told.
func (SinkFunc) Name() string { return "" }

// Alertmanager posts alerts to Prometheus' Alertmanager, or to whatever takes its format (POST /api/v2/alerts).
type Alertmanager struct {
	URL   string
	TLS   *tls.Config
	Token secret.Value // bearer token; "" for none
	Node  string       // this machine's name
}

// noticeTime is how long Alertmanager shows a notice.
const noticeTime = 15 * time.Minute

// Name implements Sink.
func (m *Alertmanager) Name() string { return "Alertmanager" }

// Send implements Sink.
func (m *Alertmanager) Send(ctx context.Context, a Alert) error {
	alert := map[string]any{
		"labels": map[string]string{
			"alertname": "PorticoHealth", "severity": a.Severity(), "cause": a.Cause,
			"dependency": string(a.Dependency), "mailbox_server": a.Mailbox,
			"instance": cmp.Or(a.Node, m.Node),
			"fault":    a.fault(), // another fault is another alert there, so that it is told
		},
		"annotations": map[string]string{"summary": a.Subject(), "description": a.Message(),
			"monitors": strings.Join(a.Monitors, ", ")},
		"startsAt": a.Since.UTC().Format(time.RFC3339Nano),
	}
	switch {
	case a.Notice:
		alert["endsAt"] = a.Since.Add(noticeTime).UTC().Format(time.RFC3339Nano)
	case !a.Ended.IsZero():
		alert["endsAt"] = a.Ended.UTC().Format(time.RFC3339Nano)
	}
	body, err := json.Marshal([]any{alert})
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, m.URL, bytes.NewReader(body))
	if err != nil {
		return fmt.Errorf("alertmanager: %s: %w", secret.URL(m.URL), secret.WithoutURL(err))
	}
	request.Header.Set("Content-Type", "application/json")
	if m.Token != "" {
		request.Header.Set("Authorization", "Bearer "+m.Token.Reveal())
	}
	client := &http.Client{
		Transport:     &http.Transport{TLSClientConfig: m.TLS, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("alertmanager: %s: %w", secret.URL(m.URL), secret.WithoutURL(err))
	}
	defer response.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(response.Body, maxLine))
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("alertmanager: %s answers %d %q", secret.URL(m.URL), response.StatusCode, said)
	}
	return nil
}

// Mail sends alerts by a program that takes a message, as sendmail -t does. Each is mailed when it begins and when it
// is over.
type Mail struct {
	Program []string
	To      string
	Node    string
}

// Name implements Sink.
func (m *Mail) Name() string { return m.To }

// Send implements Sink.
func (m *Mail) Send(ctx context.Context, a Alert) error {
	if a.Again {
		return nil
	}
	cmd := exec.CommandContext(ctx, m.Program[0], m.Program[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	cmd.Stdin = strings.NewReader(m.message(a))
	cmd.WaitDelay = time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("mail: %s: %w: %.200s", m.Program[0], err, out)
	}
	return nil
}

func (m *Mail) message(a Alert) string {
	header := strings.NewReplacer("\r", " ", "\n", " ")
	return fmt.Sprintf("To: %s\nSubject: %s (%s)\nAuto-Submitted: auto-generated\nContent-Type: text/plain; "+
		"charset=utf-8\n\n%s",
		header.Replace(m.To), header.Replace(a.Subject()), m.Node, a.Message())
}
