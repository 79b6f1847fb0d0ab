package relay

import (
	"errors"
	"fmt"
	"time"
)

// tick is the period of housekeeping.
const tick = 100 * time.Millisecond

// closeLinger is how long a client may take to close after BYE, and how long the last bytes before a reset may take.
const closeLinger = 2 * time.Second

// check returns an error that names a field without a usable value, or nil.
func (o *Options) check() error {
	for _, field := range []struct {
		name  string
		value int64
	}{
		{"Loops", int64(o.Loops)},
		{"IdleTimeout", int64(o.IdleTimeout)},
		{"LingerTimeout", int64(o.LingerTimeout)},
		{"KeepAlive", int64(o.KeepAlive)},
		{"StallTimeout", int64(o.StallTimeout)},
		{"UserTimeout", int64(o.UserTimeout)},
	} {
		if field.value < 1 {
			return fmt.Errorf("relay options: %s must be at least 1, is %d", field.name, field.value)
		}
	}
	switch {
	case o.Panicked == nil:
		return errors.New("relay options: Panicked is missing")
	case o.Now == nil:
		return errors.New("relay options: Now is missing")
	}
	return nil
}

// Clock returns a clock for Options.Now. It begins at 1 when Clock is called and is never set back.
func Clock() func() int64 {
	start := time.Now()
	return func() int64 { return int64(time.Since(start)) + 1 }
}
