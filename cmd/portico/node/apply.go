package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"portico/backend"
	"portico/configs"
	"portico/health/admin"
)

// triesToApply is how often a change is prepared again because another came first.
const triesToApply = 5

// prepare makes what a configuration asks for, with the stored settings over it. Nothing of it is in force yet.
func (s *service) prepare(ctx context.Context, loaded *configs.Config) (next *inForce, err error) {
	next = &inForce{fromFile: loaded}
	if next.config, err = s.withStored(loaded); err != nil {
		return nil, err
	}
	if next.access, err = adminAccess(next.config.Admin); err != nil {
		return nil, err
	}
	s.cluster.letIn(&next.access)
	if next.nodes, err = newNodes(next.config); err != nil {
		return nil, err
	}
	next.front, err = newFront(ctx, next.config, s.mailbox)
	return next, err
}

// apply changes what is in force, or nothing. prepare makes what comes next from what is in force; it may take its
// time, since it holds no lock, and is called again if another change has come first. keep, which may be nil, stores
// the change. It comes last of all that can fail, so the store never has a change that is not in force. A change with
// keep leaves the databases as they are. Sessions continue.
func (s *service) apply(
	ctx context.Context, prepare func(current *inForce) (*inForce, error), keep func() error,
) error {
	for range triesToApply {
		current := s.current()
		next, err := prepare(current)
		if err != nil {
			return err
		}
		done, err := s.config.change(ctx)
		if err == nil && s.current() == current {
			err = s.commit(ctx, current, next, keep)
			done()
			return err
		}
		if next.front != current.front {
			next.front.tier.Close()
		}
		if err != nil {
			return err
		}
		done()
	}
	return admin.Of(admin.KindConflict, fmt.Errorf("nothing was changed, since %d other changes came first",
		triesToApply))
}

// commit puts next in force instead of current, or leaves current in force and the store as it was. The settings come
// last: the server has accepted them in CheckReload, so it does not refuse them. Of the two mailbox tiers, commit
// closes the one that is not in force in the end, as soon as no sign-in uses it. The caller holds changing.
func (s *service) commit(ctx context.Context, current, next *inForce, keep func() error) (err error) {
	if next.front != current.front {
		defer func() {
			if err != nil {
				next.front.tier.Close()
			}
		}()
	}
	settings := next.settings()
	if err := s.clients.server.CheckReload(settings); err != nil {
		return err
	}
	listeners, err := s.clients.listeners.prepare(next.config.Listeners, nil)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			listeners.abandon()
		}
	}()
	configured := false
	err = s.api.server.Reload(next.access)
	if err == nil {
		err = s.use(next.front)
	}
	if err == nil {
		err = s.configure(ctx, next.tier())
		configured = err == nil
	}
	if err == nil && keep != nil {
		err = keep()
	}
	if err == nil {
		// a directory may take its time to close
		err = s.clients.server.Reload(settings, func() { s.background.group.Go(current.front.tier.Close) })
	}
	if err != nil {
		err = errors.Join(err, s.api.server.Reload(current.access), s.use(current.front))
		if configured && next.front != current.front {
			err = errors.Join(err, s.configure(context.WithoutCancel(ctx), current.tier()))
		}
		return err
	}
	s.config.inForce.Store(next)
	s.clients.listeners.use(listeners)
	s.clients.bound(next.config)
	s.protocol.Configure(protocolSettings(next.config))
	s.background.group.Go(s.generations.tellLog)
	logMovedServers(s.log, current.config, next.config)
	if next.fromFile != current.fromFile {
		s.useFile(next.config)
	}
	return nil
}

// useFile puts a file that was read again in force in the parts that no setting changes. The caller holds changing.
func (s *service) useFile(config *configs.Config) {
	s.log.sink.use(config.Log)
	s.monitoring.plan()
	s.alerts.use(config)
	s.recovery.use(config)
	s.cluster.use(config)
}

// configure puts a tier's databases in force, and logs what is new about them.
func (s *service) configure(ctx context.Context, tier *backend.Tier) error {
	adopted, err := tier.Configure(ctx)
	for _, a := range adopted {
		switch {
		case a.Lost:
			s.log.Error().Str("database", a.Database).Str("server", a.Server).
				Msg("the server with the active copy is not among the configured copies: no user is admitted until " +
					"portico database move")
		case a.From != "":
			s.log.Warn().Str("database", a.Database).Str("before", a.From).Str("server", a.Server).
				Msg("database renamed: it stays where it is active, and its sessions end, as in a move")
			s.background.group.Go(func() { s.clients.endDatabase(a.From) })
		default:
			s.log.Info().Str("database", a.Database).Str("server", a.Server).
				Msg("recorded the active copy of a new database")
		}
	}
	return err
}

// movedServer is a mailbox server with other addresses than before.
type movedServer struct {
	name     string
	from, to []string
}

// movedServers lists the mailbox servers whose addresses a new configuration changes.
func movedServers(old, config *configs.Config) (all []movedServer) {
	for _, name := range slices.Sorted(maps.Keys(config.MailboxServers)) {
		before, known := old.MailboxServers[name]
		if !known {
			continue
		}
		from, to := before.Targets(old.Settings.ProxyTargetPort),
			config.MailboxServers[name].Targets(config.Settings.ProxyTargetPort)
		if !slices.Equal(from, to) {
			all = append(all, movedServer{name, from, to})
		}
	}
	return all
}

func logMovedServers(log *nodeLog, old, config *configs.Config) {
	for _, moved := range movedServers(old, config) {
		log.Info().Str("server", moved.name).Strs("old", moved.from).Strs("new", moved.to).
			Msg("address of a mailbox server changed")
	}
}
