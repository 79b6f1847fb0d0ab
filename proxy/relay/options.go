package relay

import "time"

// tick is the period of housekeeping.
const tick = 100 * time.Millisecond

// closeLinger is how long a client that was told BYE may take to close, and how long the last bytes before a reset may
// take.
const closeLinger = 2 * time.Second

const (
	defaultIdle      = 30 * time.Minute // RFC 9051 section 5.4
	defaultKeepAlive = 10 * time.Minute // a phone is woken by each
	defaultStall     = 10 * time.Minute // Dovecot's
)

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	o.Loops = max(o.Loops, 1)
	o.IdleTimeout = defaultTo(o.IdleTimeout, defaultIdle)
	o.LingerTimeout = defaultTo(o.LingerTimeout, 30*time.Second)
	o.KeepAlive = defaultTo(o.KeepAlive, defaultKeepAlive)
	o.StallTimeout = defaultTo(o.StallTimeout, defaultStall)
	o.UserTimeout = defaultTo(o.UserTimeout, time.Minute)
	if o.Panicked == nil {
		o.Panicked = func(any, []byte) {}
	}
	if o.Now == nil {
		start := time.Now()
		o.Now = func() int64 { return int64(time.Since(start)) + 1 }
	}
	return o
}

func defaultTo(d, def time.Duration) time.Duration {
	if d <= 0 {
		return def
	}
	return d
}
