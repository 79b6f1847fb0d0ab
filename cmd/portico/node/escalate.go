package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"portico/backend/secret"
	"portico/configs"
	"portico/configs/store"
	"portico/health"
	"portico/health/recovery"
)

// startEscalator begins with what was open when the process before ended.
func (s *service) startEscalator() (err error) {
	s.escalator, err = health.NewEscalator(context.Background(), health.EscalatorOptions{
		Monitors: s.alerting, Ready: s.recovery.ForPeople, Active: s.activeOn, Sinks: s.sinks(s.now().config),
		Common: s.now().config.Health.Recovery.CommonCausePercent, Gather: s.now().config.Health.Escalate.Gather,
		Stored: &s.stored.alerts, Tried: s.tried, Told: s.escalated,
		Failed: func(err error) { s.reported("cannot send an alert", err) },
		Bundle: func(ctx context.Context, a health.Alert) (string, error) { return s.bundle(ctx, []health.Alert{a}) },
	})
	if s.escalator != nil && err != nil { // what cannot be read is forgotten
		s.reported("open alerts lost", err)
		return nil
	}
	return err
}

// saved returns what the store has, nil if nothing that can be read, and what keeps something else there. Only one
// goroutine at a time may call save.
func (s *service) saved(what string, one store.One[json.RawMessage]) (value []byte, save func([]byte) error,
	err error) {
	ctx := context.Background()
	item, err := one.Get(ctx)
	if err != nil {
		return nil, nil, err
	}
	if item.Err != nil { // what cannot be read is forgotten
		s.reported(what, item.Err)
	}
	return item.Value, func(text []byte) error {
		changed := item
		changed.Value = text
		changed, err := one.Put(ctx, changed)
		if err == nil { // else the one before is there still
			item = changed
		}
		return err
	}, nil
}

// sinks get the alerts: the log, and whom the configuration names.
func (s *service) sinks(config *configs.Config) []health.Sink {
	of := config.Health.Escalate
	node := nodeName()
	all := []health.Sink{s.alertLog()}
	if am := of.Alertmanager; am.URL != "" {
		sink := &health.Alertmanager{URL: am.URL, Node: node}
		var err error
		if sink.TLS, err = trusting(am.CA); err != nil {
			s.reported("health.escalate.alertmanager", err)
		}
		if am.TokenFile != "" {
			token, err := configs.ReadToken(am.TokenFile)
			if err != nil {
				s.reported("health.escalate.alertmanager", err)
			}
			sink.Token = secret.Value(token)
		}
		all = append(all, sink)
	}
	if mail := of.Mail; mail.To != "" {
		all = append(all, &health.Mail{Program: mail.Command, To: mail.To, Node: node})
	}
	return all
}

// alertLog writes alerts to the log, when they begin and when they are over.
func (s *service) alertLog() health.Sink {
	return health.SinkFunc(func(_ context.Context, a health.Alert) error {
		switch {
		case a.Notice: // recovery has logged it
		case !a.Ended.IsZero():
			s.log.Warn().Str("cause", a.Cause).Time("since", a.Since).Strs("monitors", a.Monitors).
				Msg("escalation: ended")
		case !a.Again:
			s.log.Error().Str("cause", a.Cause).Str("dependency", string(a.Dependency)).Str("_mbx", a.Mailbox).
				Strs("servers", a.Servers).Time("since", a.Since).
				Strs("monitors", a.Monitors).Str("error", a.Error).Str("bundle", a.Bundle).Msg(s.consequence(a))
		}
		return nil
	})
}

// consequence says what an alert means for users: nothing, if all databases have moved away from the servers at fault.
func (s *service) consequence(a health.Alert) string {
	servers := a.Servers
	if len(servers) == 0 && a.Mailbox != "" {
		servers = []string{a.Mailbox}
	}
	active := func(server string) bool { return len(s.activeDatabases(server)) > 0 }
	if len(servers) > 0 && !slices.ContainsFunc(servers, active) {
		return "escalation: a mailbox server is failing; no database is active there"
	}
	return "escalation: users may not reach their mail"
}

// tried lists what recovery has done about an alert.
func (s *service) tried(a health.Alert) (all []string) {
	for _, r := range s.recovery.Records() {
		if !slices.Contains(a.Monitors, r.Monitor) || r.Start.Before(a.Since) {
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
func (s *service) escalated(a health.Alert, by health.Sink) {
	if who := by.Name(); who != "" && a.Lasts() {
		s.recovery.Escalated(s.upkeep, a.Monitors, who)
	}
}

// recoveryHelped tells people what recovery has mended, unless they do not want to know.
func (s *service) recoveryHelped(r recovery.Record) {
	s.log.Warn().Str("action", r.ID).Str("resource", r.Resource).Str("monitor", r.Monitor).Str("context", r.Message).
		Msg("recovery succeeded")
	what := cmp.Or(r.Message, "recovery succeeded")
	if r.Excess != "" {
		what += " (" + r.Excess + ", but users had no access: an operator should look into it"
	}
	if s.now().config.Health.Escalate.Notices || r.Excess != "" {
		s.escalator.Inform(health.Alert{Cause: fmt.Sprintf("%s %s: %s", r.ID, r.Resource, what), Since: r.Start,
			Monitors: []string{r.Monitor}})
	}
}
