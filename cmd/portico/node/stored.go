package node

import (
	"encoding/json"

	"portico/configs/store"
	"portico/health"
	"portico/health/components"
	"portico/health/maintenance"
	"portico/protolog"
)

// stored is what a node keeps beside the active copies (backend) and the recovery log (health/recovery), one set for
// each kind. What concerns a whole site is in the site's store, and what concerns this node alone in its own; with one
// node both are one file. The node follows all of it: a change by another writer takes effect. An entry that is not
// followed says so, with the reason.
type stored struct {
	// Of the site.
	settings    store.One[map[string]string]  // changed at run time, by name: in one entry, so all change or none
	overrides   store.Set[health.Override]    // by Override.Key
	repairing   store.Set[bool]               // true, by the identities of monitors
	maintenance store.Set[maintenance.Server] // by mailbox server
	rules       store.Set[protolog.Rule]      // of the protocol log, by ID
	alerts      store.One[[]health.Alert]     // those that are open; health.Escalator reads and writes them
	// Of this node.
	components store.Set[components.Request] // what requesters want, by Request.Key
	// when monitors changed; health.Engine reads and writes it. Not followed: this node's own monitors alone change it.
	flapping store.One[json.RawMessage]
}

func newStored(site, local store.Store) stored {
	return stored{
		settings:    store.OneOf[map[string]string](site, "settings"),
		overrides:   store.SetOf[health.Override](site, "health/overrides/"),
		repairing:   store.SetOf[bool](site, "health/repairing/"),
		maintenance: store.SetOf[maintenance.Server](site, "maintenance/"),
		rules:       store.SetOf[protolog.Rule](site, "protocol_log/rules/"),
		alerts:      store.OneOf[[]health.Alert](site, "health/alerts"),
		components:  store.SetOf[components.Request](local, "health/components/"),
		flapping:    store.OneOf[json.RawMessage](local, "health/flapping"),
	}
}
