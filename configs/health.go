package configs

import (
	"maps"
	"slices"
	"time"
)

// Health says how Portico finds out whether users can reach their mail.
type Health struct {
	// Mailboxes are signed in to by probes, one of each database. Without its
	// mailbox a database is not looked into.
	Mailboxes map[string]HealthMailbox `yaml:"mailboxes"`
	SelfTest  ProbeTiming              `yaml:"self_test"`
	DeepTest  ProbeTiming              `yaml:"deep_test"`
	ProxyTest ProbeTiming              `yaml:"proxy_test"`
	CTP       ProbeTiming              `yaml:"ctp"`
	// RequestsQueued and AverageCommandTime are the most that is healthy, of each
	// mailbox server; the former of all together too.
	RequestsQueued     int           `yaml:"requests_queued" range:"1..1000000"`
	AverageCommandTime time.Duration `yaml:"average_command_time" range:"1ms..1h"`
}

// HealthMailbox is a mailbox that is there for probes.
type HealthMailbox struct {
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file" file:"relative"` // see ReadPassword; read each time
}

// ProbeTiming says how often a probe runs, how long it may take, and how many
// failures in a row are one.
type ProbeTiming struct {
	Interval time.Duration `yaml:"interval" range:"1s..24h"`
	Timeout  time.Duration `yaml:"timeout" range:"100ms..10m"`
	Failures int           `yaml:"failures" range:"1..1000"`
}

// health holds each health mailbox against the databases.
func (v *validator) health() {
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
		}
	}
}
