package node

import (
	"context"
	"slices"

	"portico/backend"
	"portico/backend/secret"
	"portico/configs"
	"portico/health"
	"portico/health/catalogue"
)

// behind is what probes look at behind the proxy.
func (m *monitoring) behind() health.Back {
	return health.Back{Tier: func() *backend.Tier { return m.config.current().tier() }, Mailbox: m.healthMailbox,
		Read: m.copies.read, Writers: &m.writers}
}

// configured is the plan of probes and monitors as the configuration has it.
func (m *monitoring) configured(current *inForce) health.Plan {
	config := current.config
	timings := make(map[string]catalogue.Timing)
	for key, timing := range config.Health.Timings() {
		timings[key] = catalogue.Timing(timing)
	}
	var databases []string
	for _, name := range config.DatabaseNames() {
		if _, ok := config.Health.Mailboxes[name]; ok {
			databases = append(databases, name)
		}
	}
	return health.NewPlan(health.PlanOptions{
		Targets: map[catalogue.Scope][]string{
			catalogue.ScopeServer: current.tier().Servers(), catalogue.ScopeDatabase: databases,
			catalogue.ScopeCopy: equalCopies(config, databases), catalogue.ScopeCanary: judged(m.mailbox.active),
		},
		Timings: timings, Flapping: health.Flapping(config.Health.Flapping), Runs: m.runs(config),
	})
}

// equalCopies lists the copies of those databases whose copies are the same mail: there a probe can read each copy.
func equalCopies(config *configs.Config, databases []string) (all []string) {
	for _, database := range databases {
		options := config.Databases[database]
		if !options.Interchangeable || len(options.Copies) < 2 {
			continue
		}
		for _, server := range options.Copies {
			all = append(all, health.CopyTarget(database, server))
		}
	}
	return all
}

// runs are the run functions of all probes in the catalogue.
func (m *monitoring) runs(config *configs.Config) health.Runs {
	settings, back, signIns := config.Health, m.behind(), m.signIns(config.Health.SignIns)
	front := health.Front{Back: back, Listeners: m.clients.clientListeners, Left: descriptorLeft}
	type run = func(context.Context, *health.Run) error
	return health.Runs{
		catalogue.ImapSelfTestProbe: back.SelfTest,
		catalogue.ImapDeepTestProbe: func(database string) run {
			return back.DeepTest(database, settings.DeepTest.Write)
		},
		catalogue.ImapCopyTestProbe: func(copied string) run {
			database, server := health.CutCopy(copied)
			return m.copies.watch(copied, settings.DeepTest.Failures, back.CopyTest(database, server))
		},
		catalogue.ImapCanaryProbe:                        m.canary,
		catalogue.ImapProxyTestProbe:                     func(string) run { return front.ProxyTest(m.clients.admit) },
		catalogue.ImapCTPProbe:                           front.CTP,
		catalogue.ProxyConnectionsFailedGt20PercentCheck: signIns.Check,
		catalogue.DatabaseCopyStatusCheck: func(server string) run {
			return health.Copies(server, func() []string { return m.unusable(server) })
		},
		catalogue.AverageCommandProcessingTimeGt60sCheck: func(server string) run {
			return health.AverageTime(m.sessions.load, server, settings.AverageCommandTime)
		},
		catalogue.RequestsQueuedGt500Check: func(server string) run {
			return health.Queued(m.sessions.load, server, settings.RequestsQueued)
		},
		catalogue.PorticoResourcesCheck: func(string) run {
			return health.Shortage(m.clients.server.Shortages, descriptorLeft)
		},
		catalogue.PorticoStoreCheck: func(string) run { return health.Stored(m.store.usable) },
	}
}

// canary is the run function of the probe of a canary.
func (m *monitoring) canary(target string) func(context.Context, *health.Run) error {
	return health.Canary(target, m.compare)
}

// signIns is what the check of users' sign-ins looks at.
func (m *monitoring) signIns(settings configs.SignIns) health.SignIns {
	return health.SignIns{
		Outcomes: func(server string) backend.SigninSummary { return m.mailbox.outcomes.Of(server) },
		Percent:  settings.Percent, Users: settings.Users,
		SelfTests: func(server string) []*health.Result {
			selfTest := catalogue.Direct(catalogue.ScopeServer)
			return m.engine.History(selfTest.Set, selfTest.Probe, server)
		},
		Elsewhere: func(server string) bool {
			monitors := m.engine.Monitors()
			return slices.ContainsFunc(m.config.current().tier().Servers(), func(other string) bool {
				return other != server && health.ServerWorks(other, monitors)
			})
		},
	}
}

// healthMailbox returns a database's health mailbox as it is configured now.
func (m *monitoring) healthMailbox(database string) (health.Mailbox, bool) {
	mailbox, ok := m.config.current().config.Health.Mailboxes[database]
	if !ok {
		return health.Mailbox{}, false
	}
	name, err := m.clients.canonical(mailbox.User)
	if err != nil {
		name = mailbox.User
	}
	return health.Mailbox{User: mailbox.User, Name: name, Password: func() (secret.Value, error) {
		password, err := configs.ReadPassword(mailbox.PasswordFile)
		return secret.Value(password), err
	}}, true
}

// healthHomes are the canonical names of those that probes sign in as, and their databases.
func healthHomes(config *configs.Config) map[string]string {
	homes := make(map[string]string)
	for database, mailbox := range config.Health.Mailboxes {
		if user, err := backend.Canonical(mailbox.User, config.DefaultDomain); err == nil {
			homes[user] = database
		}
	}
	return homes
}
