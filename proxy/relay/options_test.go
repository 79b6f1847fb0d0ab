package relay

import (
	"strings"
	"testing"
)

// A relay takes complete options alone, and says what is missing.
func TestIncompleteOptions(t *testing.T) {
	for field, change := range map[string]func(*Options){
		"Loops":         func(o *Options) { o.Loops = 0 },
		"IdleTimeout":   func(o *Options) { o.IdleTimeout = 0 },
		"LingerTimeout": func(o *Options) { o.LingerTimeout = 0 },
		"KeepAlive":     func(o *Options) { o.KeepAlive = 0 },
		"StallTimeout":  func(o *Options) { o.StallTimeout = -1 },
		"UserTimeout":   func(o *Options) { o.UserTimeout = 0 },
		"Panicked":      func(o *Options) { o.Panicked = nil },
		"Now":           func(o *Options) { o.Now = nil },
	} {
		o := complete(Options{})
		change(&o)
		for _, d := range drivers {
			r, err := d.open(o)
			if err == nil {
				r.Close()
			}
			if err == nil || !strings.Contains(err.Error(), " "+field+" ") {
				t.Errorf("%s without %s: %v", d.name, field, err)
			}
		}
	}
}
