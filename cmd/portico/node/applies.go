package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"portico/configs"
	"portico/configs/applied"
	"portico/health"
	"portico/health/admin"
)

var (
	errWatching = admin.Of(admin.KindUnavailable, errors.New("a new configuration is being watched"))
	errReplaced = admin.Of(admin.KindConflict,
		errors.New("another configuration was applied while this one was watched"))
	errUnfinished = fmt.Errorf("%w and has not watched the configuration to the end: the next start takes the "+
		"configuration before", errStopping)
)

// putBackTime bounds how long it takes to put a configuration back.
const putBackTime = time.Minute

// applies put whole configurations in force. They watch the probes then, and put the configuration before back if these
// get worse. The methods are safe for concurrent use.
type applies struct {
	s      *service
	kept   *applied.Log
	counts *prometheus.CounterVec
	ctx    context.Context // ends when the service stops: nothing is put back any more
	stop   context.CancelFunc

	inForce atomic.Pointer[configVersion] // replaced with mu held

	mu      sync.Mutex // held while a configuration is put in force or back; guards what follows
	watched *trial     // nil while none is watched
	paused  bool       // an upgrade is in progress, or another process has taken over
}

// configVersion is a configuration with its text and its number in the list of those applied, 0 if it is not there.
type configVersion struct {
	number int
	text   []byte
	config *configs.Config
}

// candidate is a configuration that somebody wants in force.
type candidate struct {
	text []byte
	name string // for messages, in the folder that file names are relative to
	who  string
	from string // the file or the number of an earlier configuration
	back int    // the number that a rollback goes back to, or 0
}

func newApplies(s *service, chosen choice) *applies {
	a := &applies{s: s, kept: chosen.kept}
	a.inForce.Store(&chosen.configVersion)
	a.counts = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "portico_config_applies_total",
		Help: "Configurations that somebody wanted in force, by what became of them.",
	}, []string{"result"})
	for _, result := range []applied.Result{applied.Applied, applied.Withdrawn, applied.NotWithdrawn,
		applied.Replaced, applied.Refused} {
		a.counts.WithLabelValues(resultLabel(result))
	}
	s.metrics.MustRegister(a.counts)
	a.ctx, a.stop = context.WithCancel(s.background.owned)
	return a
}

// started records what the service has started with.
func (a *applies) started(chosen choice) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if chosen.lost != nil {
		a.s.log.Error().Err(chosen.lost).
			Msg("the configurations applied before cannot be read: the start took the file")
	}
	if chosen.note != "" {
		a.s.log.Warn().Msg(chosen.note)
	}
	a.record(chosen.file)
}

// current returns the configuration in force.
func (a *applies) current() configVersion { return *a.inForce.Load() }

// begin puts a configuration in force, or changes nothing. It returns nil if that is in force already: then files that
// it names, such as certificates, are read again. The configuration is watched in the background.
func (a *applies) begin(ctx context.Context, c candidate) (*trial, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.ctx.Err() != nil:
		return nil, errStopping
	case a.paused:
		return nil, errUpgrading
	}
	file, err := configs.Read(a.s.config.path)
	if err != nil {
		return nil, err
	}
	loaded, invalid := configs.LoadText(c.name, c.text)
	if len(c.text) > configs.MaxFileSize {
		return nil, invalid
	}
	if invalid == nil && bytes.Equal(c.text, a.current().text) {
		if err := a.putInForce(ctx, loaded); err != nil {
			return nil, err
		}
		if a.watched == nil {
			a.s.clients.listeners.closeOthers()
			a.record(file)
		}
		return nil, nil
	}
	t := &trial{configVersion: configVersion{text: c.text, config: loaded}, who: c.who, before: a.current(),
		done: make(chan struct{})}
	length := a.s.current().config.Health.ConfigWatch
	if a.watched != nil {
		t.before, t.found = a.watched.before, a.watched.found
	} else if invalid == nil && length > 0 {
		t.found = a.s.look(a.ctx)
	}
	if err := a.add(t, c, file); err != nil {
		return nil, err
	}
	err = invalid
	if err == nil {
		err = a.putInForce(ctx, loaded)
	}
	if err != nil {
		return nil, a.refuse(t, err)
	}
	if a.watched != nil {
		a.watched.end(errReplaced)
	}
	a.inForce.Store(&t.configVersion)
	a.watched = t
	watching, end := context.WithCancelCause(a.ctx)
	t.end = end
	a.s.log.Warn().Int("configuration", t.number).Str("from", c.from).Str("who", c.who).
		Stringer("config_watch", length).Msg("configuration in force")
	if length == 0 {
		a.finish(t, nil)
		return t, nil
	}
	a.s.background.group.Go(func() {
		why := watchProbes(watching, length, t.found, a.s.look)
		end(nil)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.finish(t, why)
	})
	return t, nil
}

// add adds a configuration to the list. From now on a start takes the one before, whatever the file says. The caller
// holds mu.
func (a *applies) add(t *trial, c candidate, file []byte) (err error) {
	if t.before.number == 0 {
		a.record(file) // it could not be written at the start
		t.before = a.current()
	}
	t.number, err = a.kept.Begin(applied.Record{Time: time.Now(), Who: c.who, From: c.from, Result: applied.Watched,
		BackTo: c.back}, c.text, file)
	if err != nil {
		return admin.Of(admin.KindFailed, fmt.Errorf("the configuration cannot be kept: %w", err))
	}
	return nil
}

// record has the list know what is in force.
func (a *applies) record(file []byte) {
	now := a.current()
	err := a.kept.Start(applied.Record{Time: time.Now(), Who: "start", From: a.s.config.path, Result: applied.Started},
		now.text, file)
	if err != nil {
		a.s.log.report("the configuration in force cannot be kept for the next start", err)
		return
	}
	now.number = a.kept.Current()
	a.inForce.Store(&now)
}

// putInForce puts a configuration in force, or nothing.
func (a *applies) putInForce(ctx context.Context, loaded *configs.Config) error {
	err := a.s.apply(ctx, func(*inForce) (*inForce, error) { return a.s.prepare(ctx, loaded) }, nil)
	if err != nil {
		return err
	}
	for _, warning := range loaded.Warnings() {
		a.s.log.Warn().Msg(warning.Error())
	}
	if later := configs.NeedsRestart(a.s.config.started, a.s.current().config); len(later) > 0 {
		a.s.log.Warn().Strs("keys", later).Msg("some changes need a restart")
	}
	return nil
}

// refuse records that a configuration could not be put in force, and returns why.
func (a *applies) refuse(t *trial, why error) error {
	a.ended(t, applied.Refused, why, a.kept.Current())
	return why
}

// finish records that a configuration has been watched long enough, or puts the one before back. why is why it must go.
// The caller holds mu.
func (a *applies) finish(t *trial, why error) {
	defer close(t.done)
	if a.watched != t {
		t.err = errReplaced
		a.ended(t, applied.Replaced, nil, a.kept.Current())
		return
	}
	if a.ctx.Err() != nil {
		t.err = errUnfinished
		return
	}
	a.watched = nil
	if why == nil {
		if why = a.ended(t, applied.Applied, nil, t.number); why == nil {
			a.s.clients.listeners.closeOthers()
			return
		}
		why = fmt.Errorf("it cannot be kept: %w", why)
	}
	t.err = a.putBack(t, why)
}

// putBack puts the configuration before in force again, tells people, and returns what to tell whoever has applied the
// other one.
func (a *applies) putBack(t *trial, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), putBackTime)
	defer cancel()
	defer a.s.clients.listeners.closeOthers()
	if err := a.putInForce(ctx, t.before.config); err != nil {
		err = fmt.Errorf("%w; the configuration before cannot be put back: %w", why, err)
		a.ended(t, applied.NotWithdrawn, err, t.number)
		a.tell(t, "is in force, although the probes are worse than before", err)
		return admin.Of(admin.KindFailed, err)
	}
	a.inForce.Store(&t.before)
	a.s.reloads.count(why, time.Now())
	a.ended(t, applied.Withdrawn, why, t.before.number)
	a.tell(t, fmt.Sprintf("was withdrawn, and configuration %d was put back", t.before.number), why)
	return admin.Of(admin.KindRefused, fmt.Errorf("configuration %d was withdrawn, and configuration %d was put "+
		"back: %w", t.number, t.before.number, why))
}

// ended records what became of a configuration. A start takes the one with the number current now.
func (a *applies) ended(t *trial, result applied.Result, why error, current int) error {
	a.counts.WithLabelValues(resultLabel(result)).Inc()
	reason := ""
	if why != nil {
		reason = why.Error()
	}
	err := a.kept.End(t.number, result, reason, current)
	if err != nil {
		a.s.log.report("the result of a new configuration cannot be kept", err)
	}
	level := zerolog.InfoLevel
	switch {
	case result == applied.Refused:
		level = zerolog.WarnLevel
	case why != nil:
		level = zerolog.ErrorLevel
	}
	a.s.log.WithLevel(level).Err(why).Int("configuration", t.number).Str("who", t.who).
		Msg("configuration " + string(result))
	return err
}

// tell tells people about a configuration that nobody may be looking at.
func (a *applies) tell(t *trial, what string, why error) {
	a.s.alerts.escalator.Inform(health.Alert{
		Cause: fmt.Sprintf("configuration %d of %s %s", t.number, t.who, what), Since: time.Now(), Error: why.Error(),
	})
}

// pause lets no configuration be applied until resume is called. It returns errWatching if one is being watched.
func (a *applies) pause() (resume func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.watched != nil {
		return nil, errWatching
	}
	a.paused = true
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.paused = false
	}, nil
}

// resultLabel is a result as the metric has it.
func resultLabel(r applied.Result) string {
	return strings.ReplaceAll(string(r), " ", "_")
}
