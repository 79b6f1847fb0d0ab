package node

import (
	"testing"

	"portico/configs"
)

// For each key it is known for whom a change takes effect.
func TestEffects(t *testing.T) {
	for _, key := range configs.Keys() {
		if key.Reload && effectOf(key.Path) == "" {
			t.Errorf("%s: no effect", key.Path)
		}
	}
	for path, want := range map[string]string{
		"settings.banner": forNew, "health.config_watch": forNext, "health.recovery.mode": forAll,
		"settings.authenticated_connection_timeout": forAll, "log.signins": forNew,
		"log.level": forAll, `listeners[":143"].tls`: forNew,
	} {
		if got := effectOf(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
}
