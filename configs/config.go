// Package configs reads Portico's configuration file. It holds the types, their defaults, a strict reader that reports
// every mistake with file, line and column, and the rules between keys. It is at the bottom of the import graph: it
// imports neither the proxy nor the packages about mailbox servers, opens no socket and starts nothing. The folder
// also holds files that people copy: portico.yaml, the systemd unit, rules for Prometheus, a dashboard for Grafana.
package configs

import (
	"maps"
	"slices"
	"time"
)

// Config is one whole configuration. A value from [Load] or [Parse] is read-only by convention: a reload makes a new
// one and swaps it.
// The struct tags are used by the reader, the rules and the reference: `yaml` names the key, `range` bounds a number
// or duration ("low..high"), `file` marks a path that is relative to the configuration file, and `reload:"no"` marks a
// key whose change only a restart applies.
type Config struct {
	Listeners      []Listener               `yaml:"listeners"`
	TLS            TLS                      `yaml:"tls"`
	Admin          Admin                    `yaml:"admin"`
	MailboxServers map[string]MailboxServer `yaml:"mailbox_servers"`
	Databases      map[string]Database      `yaml:"databases"`
	Routing        Routing                  `yaml:"routing"`
	Signin         Signin                   `yaml:"signin"`
	Directory      Directory                `yaml:"directory"`
	Settings       Settings                 `yaml:"settings"`
	Timeouts       Timeouts                 `yaml:"timeouts"`
	Breaker        Breaker                  `yaml:"breaker"`
	Pace           Pace                     `yaml:"pace"`
	Penalties      Penalties                `yaml:"penalties"`
	Health         Health                   `yaml:"health"`
	Nodes          map[string]Node          `yaml:"nodes"`
	Cluster        Cluster                  `yaml:"cluster"`
	// TrustedNetworks are the networks of proxies that may state the real client's address.
	TrustedNetworks []string `yaml:"trusted_networks"`
	// DefaultDomain is appended to user names that have none.
	DefaultDomain string `yaml:"default_domain"`
	// Loops is the number of relay event loops; 0 means one per CPU.
	Loops int `yaml:"loops" range:"0..1024" reload:"no"`
	// SetupSlots is the number of sign-in threads; 0 means Loops.
	SetupSlots int   `yaml:"setup_slots" range:"0..4096" reload:"no"`
	Relay      Relay `yaml:"relay"`
	// ShutdownTimeout is how long sessions have to finish their open command.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" range:"0s..1h"`
	// KeepaliveIdle is the idle time after which TCP sends a keep-alive probe to a client.
	KeepaliveIdle time.Duration `yaml:"keepalive_idle" range:"10s..9h"`
	// DataDir holds the store and, unless LogFileLocation is set, the protocol log.
	DataDir string  `yaml:"data_dir" file:"relative" reload:"no"`
	Store   Store   `yaml:"store"`
	Metrics Metrics `yaml:"metrics"`
	Log     Log     `yaml:"log"`

	source   *source  // where each value is in the file; nil for a configuration made in code
	warnings Problems // of Load
}

// DatabaseNames lists the names of the databases, sorted.
func (c *Config) DatabaseNames() []string { return slices.Sorted(maps.Keys(c.Databases)) }

// Store configures the store, which keeps what changes at run time.
type Store struct {
	// Backups is the number of daily copies to keep; with 0, none is made.
	Backups int `yaml:"backups" range:"0..1000"`
}

// Metrics configures the page of metrics that Prometheus reads.
type Metrics struct {
	// ClassicHistograms shows histograms with classic buckets, beside their native ones.
	ClassicHistograms bool `yaml:"classic_histograms"`
}

// Relay configures the relay of signed-in sessions.
type Relay struct {
	// ServerBuffer is how many bytes of a mailbox server's data the kernel may hold for one connection while the
	// client does not read. 0 leaves that to the kernel, which then enlarges the buffer as data flows.
	ServerBuffer Size `yaml:"server_buffer" range:"0..128MB"`
	// IO selects the system calls with which event loops receive and send.
	IO RelayIO `yaml:"io" reload:"no"`
}

// RelayIO selects the system calls with which an event loop receives and sends.
type RelayIO string

// RelayIOAuto uses io_uring where the kernel allows it, and epoll elsewhere.
const (
	RelayIOAuto    RelayIO = "auto"
	RelayIOEpoll   RelayIO = "epoll"
	RelayIOIOUring RelayIO = "io_uring"
)

// choice is a text type with a closed set of values.
type choice interface{ choices() []string }

func (RelayIO) choices() []string { return texts(RelayIOAuto, RelayIOEpoll, RelayIOIOUring) }

func texts[T ~string](values ...T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
