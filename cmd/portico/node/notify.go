package node

import (
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/rs/zerolog"
)

// States that notify sends to the service manager, if there is one (sd_notify(3)).
const (
	stateReady    = daemon.SdNotifyReady
	stateStopping = daemon.SdNotifyStopping
)

func notify(log zerolog.Logger, state string) {
	if _, err := daemon.SdNotify(false, state); err != nil {
		log.Warn().Err(err).Msg("cannot notify the service manager")
	}
}

// startWatchdog tells the service manager, if it asks for that, twice in each of its intervals that alive returns. A
// loop that hangs keeps alive from returning, and so the service manager restarts Portico. The function returned ends
// it.
func startWatchdog(log zerolog.Logger, alive func()) (stop func()) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn().Err(err).Msg("cannot start the watchdog")
	}
	if err != nil || interval == 0 {
		return func() {}
	}
	done := make(chan struct{})
	go watch(interval/2, done, func() {
		alive()
		notify(log, daemon.SdNotifyWatchdog)
	})
	return sync.OnceFunc(func() { close(done) })
}

func watch(every time.Duration, done <-chan struct{}, tell func()) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			tell()
		case <-done:
			return
		}
	}
}
