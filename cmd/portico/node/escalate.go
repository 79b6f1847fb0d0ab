package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"portico/backend/secret"
	"portico/configs"
	"portico/health"
	"portico/health/components"
	"portico/health/recovery"
)

// alerting tells people about failing monitors, and what recovery has done about them. It does not change after start;
// escalator guards itself.
type alerting struct {
	escalator *health.Escalator

	config     *configuration
	log        *nodeLog
	store      *nodeStore
	mailbox    *mailboxState
	components *componentStates
	monitoring *monitoring
	recovery   *recovering
	background *background
	nodes      func() []string // the other nodes of the site
	// bundle writes a file with all that is known, for whoever gets the alerts, and returns its path.
	bundle func(ctx context.Context, alerts []health.Alert) (string, error)
}

// start begins with the alerts that were open when the process before ended.
func (a *alerting) start() (err error) {
	config := a.config.current().config
	a.escalator, err = health.NewEscalator(context.Background(), health.EscalatorOptions{
		Monitors: a.monitors, Ready: a.recovery.responders.ForPeople, Active: a.mailbox.activeOn,
		Sinks:  a.sinks(config),
		Common: config.Health.Recovery.CommonCausePercent, Gather: config.Health.Escalate.Gather,
		Stored: &a.store.alerts, Node: a.config.node(), Tried: a.tried, Sent: a.escalated,
		Nodes:  a.nodes,
		Failed: a.log.reporter("cannot send an alert"),
		Bundle: func(ctx context.Context, alert health.Alert) (string, error) {
			return a.bundle(ctx, []health.Alert{alert})
		},
	})
	if a.escalator != nil && err != nil { // what cannot be read is forgotten
		a.log.report("open alerts lost", err)
		return nil
	}
	return err
}

// use puts in force whom a configuration names, and when alerts have a common cause.
func (a *alerting) use(config *configs.Config) {
	a.escalator.Use(a.sinks(config), config.Health.Recovery.CommonCausePercent, config.Health.Escalate.Gather)
}

// monitors returns the monitors that people get alerts about; nil while Monitoring is Inactive.
func (a *alerting) monitors() []health.MonitorState {
	if a.components.set.State(components.Monitoring) != components.Active {
		return nil
	}
	return a.monitoring.engine.Monitors()
}

// sinks get the alerts: the log, and whom the configuration names.
func (a *alerting) sinks(config *configs.Config) []health.Sink {
	settings := config.Health.Escalate
	node := a.config.node()
	all := []health.Sink{alertLog(a.log, a.consequence)}
	if am := settings.Alertmanager; am.URL != "" {
		sink := &health.Alertmanager{URL: am.URL, Node: node}
		var err error
		if sink.TLS, err = trusting(am.CA); err != nil {
			a.log.report("health.escalate.alertmanager", err)
		}
		if am.TokenFile != "" {
			token, err := configs.ReadToken(am.TokenFile)
			if err != nil {
				a.log.report("health.escalate.alertmanager", err)
			}
			sink.Token = secret.Value(token)
		}
		all = append(all, sink)
	}
	if mail := settings.Mail; mail.To != "" {
		all = append(all, &health.Mail{Program: mail.Command, To: mail.To, Node: node})
	}
	return all
}

// alertLog writes alerts to the log, when they begin and when they are over. consequence says what one means for users.
func alertLog(log *nodeLog, consequence func(health.Alert) string) health.Sink {
	return health.SinkFunc(func(_ context.Context, a health.Alert) error {
		switch {
		case a.Notice: // recovery has logged it
		case !a.Ended.IsZero():
			log.Warn().Str("cause", a.Cause).Time("since", a.Since).Strs("monitors", a.Monitors).
				Msg("escalation: ended")
		case !a.Again:
			log.Error().Str("cause", a.Cause).Str("dependency", string(a.Dependency)).Str("_mbx", a.Mailbox).
				Strs("servers", a.Servers).Time("since", a.Since).
				Strs("monitors", a.Monitors).Str("error", a.Error).Str("bundle", a.Bundle).Msg(consequence(a))
		}
		return nil
	})
}

// consequence says what an alert means for users: nothing, if all databases have moved away from the servers at fault.
func (a *alerting) consequence(alert health.Alert) string {
	servers := alert.Servers
	if len(servers) == 0 && alert.Mailbox != "" {
		servers = []string{alert.Mailbox}
	}
	active := func(server string) bool { return len(a.mailbox.activeDatabases(server)) > 0 }
	if len(servers) > 0 && !slices.ContainsFunc(servers, active) {
		return "escalation: a mailbox server is failing; no database is active there"
	}
	return "escalation: users may not reach their mail"
}

// tried lists what recovery has done about an alert.
func (a *alerting) tried(alert health.Alert) (all []string) {
	for _, r := range a.recovery.responders.Records() {
		if !slices.Contains(alert.Monitors, r.Monitor) || r.Start.Before(alert.Since) {
			continue
		}
		line := fmt.Sprintf("%s %s %s: %s", r.Start.UTC().Format(time.TimeOnly), r.ID, r.Resource,
			cmp.Or(string(r.Result), string(r.State)))
		for _, more := range []string{r.Message, r.Exception} {
			if more != "" {
				line += ": " + more
			}
		}
		all = append(all, line)
	}
	return all
}

// escalated records who got an alert.
func (a *alerting) escalated(alert health.Alert, by health.Sink) {
	if who := by.Name(); who != "" && alert.Lasts() {
		a.recovery.responders.Escalated(a.background.ctx, alert.Monitors, who)
	}
}

// recovered tells people what recovery has mended, unless they do not want to know.
func (a *alerting) recovered(r recovery.Record) {
	a.log.Warn().Str("action", r.ID).Str("resource", r.Resource).Str("monitor", r.Monitor).Str("context", r.Message).
		Msg("recovery succeeded")
	what := cmp.Or(r.Message, "recovery succeeded")
	if r.Excess != "" {
		what += " (" + r.Excess + ", but users had no access: an operator should look into it"
	}
	if a.config.current().config.Health.Escalate.Notices || r.Excess != "" {
		a.escalator.Inform(health.Alert{Cause: fmt.Sprintf("%s %s: %s", r.ID, r.Resource, what), Since: r.Start,
			Monitors: []string{r.Monitor}})
	}
}
