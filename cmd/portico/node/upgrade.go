package node

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"portico/cmd/portico/handover"
	"portico/cmd/portico/release"
	"portico/health/admin"
)

// Bounds of an upgrade.
const (
	upgradeTime    = 30 * time.Second // for the other process to take clients; upgrades.time
	drainTime      = 12 * time.Hour   // for sessions to end, if nobody gives another
	maxGenerations = 8                // that carry sessions at the same time
	lateTime       = time.Second      // for a last word of the other process, when that time is over
	leaveTime      = 10 * time.Second // for requests over HTTP that are being answered
)

var (
	errUpgrading = admin.Of(admin.KindUnavailable, errors.New("an upgrade is in progress"))
	errRetired   = admin.Of(admin.KindUnavailable, errors.New("another process has taken the place of this one"))
	errMoving    = admin.Of(admin.KindUnavailable, errors.New("a database or user is being moved"))
	errDemo      = admin.Of(admin.KindRefused, errors.New("the mailbox servers of portico demo would end with this "+
		"process: upgrade a portico serve"))
)

// upgrades hand this process's work to another process, once.
type upgrades struct {
	s       *service
	time    time.Duration    // for the other process to take clients
	retired chan *retirement // gets what is left of this process when another one has taken its place

	mu      sync.Mutex
	next    *handover.Process // while an upgrade is in progress
	over    error             // why no upgrade begins any more; nil while one may
	working sync.WaitGroup
}

// begin begins an upgrade. The caller calls end.
func (u *upgrades) begin(program, file string) (*handover.Process, error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.over != nil:
		return nil, u.over
	case u.next != nil:
		return nil, errUpgrading
	}
	next, err := handover.Start(program, "serve", "--config", file)
	if err != nil {
		return nil, admin.Of(admin.KindFailed, fmt.Errorf("start %s: %w", program, err))
	}
	u.next = next
	u.working.Add(1)
	return next, nil
}

// fail ends an upgrade whose process has ended.
func (u *upgrades) fail() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.next = nil
	u.working.Done()
}

// succeed ends an upgrade. From here on the other process is not this one's to kill. Only then may this one end, which
// it does at once if it has no sessions.
func (u *upgrades) succeed(left *retirement) {
	u.mu.Lock()
	u.next, u.over = nil, errRetired
	u.working.Done()
	u.mu.Unlock()
	u.retired <- left
}

// refuse lets no upgrade begin any more.
func (u *upgrades) refuse(why error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.over = why
}

// stop lets no upgrade begin any more, and breaks off one that is in progress.
func (u *upgrades) stop() {
	u.mu.Lock()
	if u.over == nil {
		u.over = errStopping
	}
	if u.next != nil {
		u.next.Kill()
	}
	u.mu.Unlock()
	u.working.Wait()
}

// upgrade has another process of a program take this one's place. drain is how long this one then keeps its sessions.
func (s *service) upgrade(ctx context.Context, program string, drain time.Duration) (made admin.Generation, err error) {
	if len(s.generations.rows()) >= maxGenerations-1 {
		return made, admin.Of(admin.KindRefused, fmt.Errorf("%d processes still carry sessions; no more than that",
			maxGenerations))
	}
	if program == "" {
		if program, err = startedProgram(); err != nil {
			return made, err
		}
	}
	undo := func(resume func()) {
		if err != nil {
			resume()
		}
	}
	resumeApplies, err := s.applies.pause()
	if err != nil {
		return made, err
	}
	defer undo(resumeApplies)
	done, err := s.config.change(ctx) // nothing changes meanwhile
	if err != nil {
		return made, err
	}
	defer done()
	resumeMoves, err := s.moves.underWay.pause()
	if err != nil {
		return made, err
	}
	defer undo(resumeMoves)
	next, err := s.upgrades.begin(program, s.config.path)
	if err != nil {
		return made, err
	}
	s.log.Warn().Str("program", program).Int("process", next.PID).Stringer("drain", drain).Msg("upgrade started")
	next.SetDeadline(time.Now().Add(s.upgrades.time))
	left, version, err := s.handOver(next)
	if err != nil {
		defer s.upgrades.fail()
		next.Kill()
		s.takeBack(left)
		s.log.Error().Err(err).Msg("upgrade failed: this process goes on")
		return made, admin.Of(admin.KindFailed, fmt.Errorf("the other process did not take over, this one goes on: %w",
			err))
	}
	next.Close()
	s.retire(left, next.PID, drain)
	s.upgrades.succeed(left)
	return admin.Generation{PID: next.PID, Version: version, Since: time.Now(), Serving: true}, nil
}

// startedProgram is this program by the name by which it was started: where that is a link, it may point to another
// version now.
func startedProgram() (string, error) {
	if path, err := exec.LookPath(os.Args[0]); err == nil {
		return filepath.Abs(path)
	}
	return os.Executable()
}

// handOver tells the other process what it needs, in the order of the messages; see sayListeners. left is not nil once
// the other process may have the store.
func (s *service) handOver(next *handover.Process) (left *retirement, version string, err error) {
	names, files := s.openListeners()
	if err := next.Send(sayListeners, listenersMessage{release.Version(), s.config.started.DataDir, names},
		files...); err != nil {
		return nil, "", err
	}
	m, err := next.Await(sayLoaded)
	if err == nil {
		err = m.Read(&version)
	}
	if err != nil {
		return nil, "", err
	}
	if left, err = openRetirement(s); err != nil {
		return nil, "", err
	}
	s.protocol.Hold()
	left.clusterBack = s.cluster.lend()
	lock := s.store.local.Lend()
	mine := carriedOver{s.clients.tickets.Keys(), s.clients.server.Memory(), s.generations.known()}
	if err := next.Send(sayYours, mine, lock); err != nil {
		return left, "", err
	}
	_, err = next.Await(sayReady)
	if errors.Is(err, handover.ErrTime) { // it may be ready, if this process was stopped meanwhile
		next.SetDeadline(time.Now().Add(lateTime))
		_, err = next.Await(sayReady)
	}
	return left, version, err
}

// takeBack undoes handOver. The other process has ended.
func (s *service) takeBack(left *retirement) {
	if left == nil {
		return
	}
	if err := s.store.local.TakeBack(); err != nil {
		s.log.Error().Err(err).Msg("the store is not as it was lent")
	}
	left.clusterBack()
	s.protocol.Resume()
	left.close()
}

// retire ends what the other process does now. Sessions, and sign-ins that have begun, go on. The caller holds
// changing.
func (s *service) retire(left *retirement, next int, drain time.Duration) {
	notify(s.log.Logger, fmt.Sprintf("MAINPID=%d", next))
	s.config.retired.Store(true)
	s.config.over = errRetired
	s.clients.listeners.close()
	s.clients.server.Retire()
	left.begin(drain) // nobody comes here any more
	s.moves.underWay.stop()
	s.monitoring.end()
	s.background.retire()
	s.generations.leave()
	s.cluster.close()
	if err := s.store.local.Close(); err != nil {
		s.log.Error().Err(err).Msg("store did not close cleanly")
	}
	s.background.group.Go(s.api.leave())
	s.log.Warn().Int("process", next).Stringer("drain", drain).
		Int("connections", s.clients.server.Places().Connections).
		Msg("another process takes clients now, this one keeps its sessions")
}

// serviceAPI implements admin.Service.
type serviceAPI struct{ s *service }

// Generations implements admin.Service.
func (c serviceAPI) Generations(context.Context) []admin.Generation {
	here := admin.Generation{PID: os.Getpid(), Version: release.Version(), Since: c.s.began,
		Sessions: c.s.clients.server.Places().Connections, Serving: !c.s.config.retired.Load()}
	return slices.Insert(c.s.generations.rows(), 0, here)
}

// Upgrade implements admin.Service.
func (c serviceAPI) Upgrade(ctx context.Context, program string, drain time.Duration) (admin.Generation, error) {
	if drain == 0 {
		drain = drainTime
	}
	return c.s.upgrade(ctx, program, drain)
}
