// Package configs reads the configuration file of Portico.
//
// It holds the types, their defaults, a strict reader that reports every
// mistake with file, line and column, and the rules a configuration must keep.
// It stands at the bottom of the import graph: it knows neither the proxy nor
// the mailbox servers it describes, opens no socket and starts nothing. Beside
// the package lie the files people copy: portico.yaml and the systemd unit.
package configs

import (
	"maps"
	"slices"
	"time"
)

// Config is one whole configuration. A value from [Load] or [Parse] is
// read-only by convention: a reload makes a new one and swaps it.
//
// Struct tags carry what the reader, the rules and the reference share:
// `yaml` names the key, `range` bounds a number or duration ("low..high"),
// `file` marks a path that is relative to the configuration file, and
// `reload:"no"` marks what only a restart takes.
type Config struct {
	Listeners      []Listener               `yaml:"listeners" reload:"no"`
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
	// TrustedNetworks are where proxies are that may say who the real client is.
	TrustedNetworks []string `yaml:"trusted_networks"`
	// DefaultDomain is appended to user names that have none.
	DefaultDomain string `yaml:"default_domain"`
	// Loops is the number of relay event loops; 0 means one per CPU.
	Loops int `yaml:"loops" range:"0..1024" reload:"no"`
	// SetupSlots is the number of threads that set sessions up; 0 means Loops.
	SetupSlots int   `yaml:"setup_slots" range:"0..4096" reload:"no"`
	Relay      Relay `yaml:"relay"`
	// ShutdownTimeout is how long sessions may finish their open command.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" range:"0s..1h"`
	// KeepaliveIdle is the silence after which TCP asks whether a client lives.
	KeepaliveIdle time.Duration `yaml:"keepalive_idle" range:"10s..9h"`
	// DataDir holds the store and, unless told otherwise, the protocol log.
	DataDir string `yaml:"data_dir" file:"relative" reload:"no"`
	Store   Store  `yaml:"store"`
	Log     Log    `yaml:"log"`

	source   *source  // where each value stands in the file; nil if made in code
	warnings Problems // what Load found to warn about
}

// DatabaseNames lists the names of the databases, sorted.
func (c *Config) DatabaseNames() []string { return slices.Sorted(maps.Keys(c.Databases)) }

// Store is how what changes at run time is kept.
type Store struct {
	// Backups is how many daily copies are kept; 0 means that none is made.
	Backups int `yaml:"backups" range:"0..1000"`
}

// Relay is what signed-in sessions may use.
type Relay struct {
	// ServerBuffer is how much memory the kernel may use for what a mailbox server has sent on one connection and the
	// client has not taken yet, in bytes. 0 leaves that to the kernel, which then enlarges the buffer as data flows.
	ServerBuffer Size `yaml:"server_buffer" range:"0..128MB"`
	// IO is by which system calls event loops receive and send.
	IO RelayIO `yaml:"io" reload:"no"`
}

// RelayIO is by which system calls an event loop receives and sends.
type RelayIO string

// RelayIOAuto is io_uring where the kernel allows it, and epoll elsewhere.
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
