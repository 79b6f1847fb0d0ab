package node

import "strings"

// For whom a change of a key takes effect.
const (
	forAll  = "all sessions"
	forNew  = "new connections"
	forNext = "next apply"
	restart = "restart"
)

// effects say for whom a change takes effect, by the beginnings of keys; the longest one counts.
var effects = map[string]string{
	"listeners": forNew, "tls": forNew, "admin": forAll, "mailbox_servers": forNew, "databases": forNew,
	"routing": forNew, "signin": forNew, "directory": forNew, "timeouts": forNew, "breaker": forNew, "pace": forNew,
	"penalties": forNew, "health": forAll, "nodes": forAll, "cluster": forAll, "trusted_networks": forNew,
	"default_domain": forNew, "health.config_watch": forNext,
	"relay": forNew, "shutdown_timeout": forAll, "keepalive_idle": forAll, "store": forAll, "metrics": forAll,
	"log": forAll, "log.signins": forNew,

	"settings": forNew, "settings.authenticated_connection_timeout": forAll, "settings.max_commands": forAll,
	"settings.protocol_log": forAll, "settings.log_": forAll,
}

// effectOf says for whom a change of a key takes effect that a reload applies.
func effectOf(path string) (effect string) {
	longest := -1
	for prefix, of := range effects {
		if strings.HasPrefix(path, prefix) && len(prefix) > longest {
			effect, longest = of, len(prefix)
		}
	}
	return effect
}
