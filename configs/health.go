package configs

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Health configures how Portico checks whether users can reach their mail.
type Health struct {
	// Mailboxes are the mailboxes that probes sign in to, one in each database. A database without one is not probed.
	Mailboxes map[string]HealthMailbox `yaml:"mailboxes"`
	SelfTest  ProbeTiming              `yaml:"self_test"`
	DeepTest  DeepTest                 `yaml:"deep_test"`
	ProxyTest ProbeTiming              `yaml:"proxy_test"`
	CTP       ProbeTiming              `yaml:"ctp"`
	Flapping  Flapping                 `yaml:"flapping"`
	// SignIns says when too many sign-ins of users fail at a mailbox server.
	SignIns SignIns `yaml:"sign_ins"`
	// RequestsQueued and AverageCommandTime are the highest healthy values of each mailbox server. RequestsQueued also
	// bounds the sum of all servers.
	RequestsQueued     int           `yaml:"requests_queued" range:"1..1000000"`
	AverageCommandTime time.Duration `yaml:"average_command_time" range:"1ms..1h"`
	// ConfigWatch is how long the probes of a new configuration are watched. If they get worse, it is withdrawn
	// and the one before is put back. 0 watches none.
	ConfigWatch time.Duration `yaml:"config_watch" range:"0s..3m"`
	// Escalate says who is notified, besides the log, when something stays unhealthy.
	Escalate Escalate `yaml:"escalate"`
	// Recovery says what Portico does before it notifies anybody.
	Recovery Recovery `yaml:"recovery"`
}

// Escalate says who is notified.
type Escalate struct {
	Alertmanager Alertmanager `yaml:"alertmanager"`
	Mail         Mail         `yaml:"mail"`
	Notices      bool         `yaml:"notices"` // also about what recovery has repaired
	// Gather is how long a monitor has to fail before Portico sends an alert, so that one alert covers everything with
	// the same cause.
	Gather time.Duration `yaml:"gather" range:"1s..1h"`
}

// Alertmanager is Prometheus' Alertmanager, or another program with its API.
type Alertmanager struct {
	URL       string `yaml:"url"`                        // "" for none
	CA        string `yaml:"ca" file:"relative"`         // PEM; "" for the system's CAs
	TokenFile string `yaml:"token_file" file:"relative"` // bearer token; see ReadToken
}

// Mail is sent by a program that reads a message with its header, such as sendmail -t.
type Mail struct {
	Command []string `yaml:"command"` // a program and its arguments; no shell
	To      string   `yaml:"to"`      // "" for nobody
}

// HealthMailbox is a mailbox for probes only.
type HealthMailbox struct {
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file" file:"relative"` // see ReadPassword; read at each run
}

// ProbeTiming says how often a probe runs, how long it may take, and how many consecutive failures make its monitor
// unhealthy.
type ProbeTiming struct {
	Interval time.Duration `yaml:"interval" range:"1s..24h"`
	Timeout  time.Duration `yaml:"timeout" range:"100ms..10m"`
	Failures int           `yaml:"failures" range:"1..1000"`
}

// DeepTest is the timing of ImapDeepTestProbe, and whether it writes.
type DeepTest struct {
	Interval time.Duration `yaml:"interval" range:"1s..24h"`
	Timeout  time.Duration `yaml:"timeout" range:"100ms..10m"`
	Failures int           `yaml:"failures" range:"1..1000"`
	// Write makes every tenth run store a message and expunge it, where the health mailbox allows that.
	Write bool `yaml:"write"`
}

// Timing returns the timing without Write.
func (d DeepTest) Timing() ProbeTiming { return ProbeTiming{d.Interval, d.Timeout, d.Failures} }

// Timings returns the timings of probes, by their keys in the file.
func (h Health) Timings() map[string]ProbeTiming {
	return map[string]ProbeTiming{
		"self_test": h.SelfTest, "deep_test": h.DeepTest.Timing(), "proxy_test": h.ProxyTest, "ctp": h.CTP,
	}
}

// Flapping says when a monitor flaps: when it changes between failing and well more than Changes times within Window.
// With 0 changes, never.
type Flapping struct {
	Changes int           `yaml:"changes" range:"0..1000"`
	Window  time.Duration `yaml:"window" range:"1s..24h"`
}

// SignIns says when too many sign-ins fail: at least Percent of them, and those of at least Users users.
type SignIns struct {
	Percent int `yaml:"percent" range:"1..100"`
	Users   int `yaml:"users" range:"1..1000"`
}

// escalate checks the receivers of alerts.
func (v *validator) escalate() {
	const alertmanager, mailing = "health.escalate.alertmanager", "health.escalate.mail"
	of := v.c.Health.Escalate
	if am := of.Alertmanager; am.URL != "" {
		if u, err := url.Parse(am.URL); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			v.fail(join(alertmanager, "url"),
				"must be an http or https URL such as https://alertmanager:9093/api/v2/alerts")
		}
		v.authorities(join(alertmanager, "ca"), am.CA)
		if am.TokenFile != "" {
			if _, err := ReadToken(am.TokenFile); err != nil {
				v.fail(join(alertmanager, "token_file"), "%s", err)
			} else {
				v.secret(join(alertmanager, "token_file"), am.TokenFile)
			}
		}
	}
	switch mail := of.Mail; {
	case mail.To == "" && len(mail.Command) > 0:
		v.failKey(mailing, "to is missing")
	case mail.To != "" && len(mail.Command) == 0:
		v.failKey(mailing, "command is missing, such as [/usr/sbin/sendmail, -t]")
	case strings.ContainsAny(mail.To, "\r\n"):
		v.fail(join(mailing, "to"), "must be one line")
	}
}

// health checks that each health mailbox belongs to a database.
func (v *validator) health() {
	v.escalate()
	v.recovery()
	for _, name := range slices.Sorted(maps.Keys(v.c.Health.Mailboxes)) {
		path, mailbox := join("health.mailboxes", name), v.c.Health.Mailboxes[name]
		if _, ok := v.c.Databases[name]; !ok && !v.unread("databases") {
			v.failKey(path, "there is no database %s", name)
		}
		if mailbox.User == "" && !v.unread(join(path, "user")) {
			v.failKey(path, "user is missing")
		}
		if mailbox.PasswordFile == "" {
			if !v.unread(join(path, "password_file")) {
				v.failKey(path, "password_file is missing")
			}
		} else if _, err := ReadPassword(mailbox.PasswordFile); err != nil {
			v.fail(join(path, "password_file"), "%s", err)
		} else {
			v.secret(join(path, "password_file"), mailbox.PasswordFile)
		}
	}
}
