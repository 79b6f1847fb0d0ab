// Package configs reads the configuration file of Portico.
//
// It holds the types, their defaults, a strict reader that reports every
// mistake with file, line and column, and the rules a configuration must keep.
// It stands at the bottom of the import graph: it knows neither the proxy nor
// the mailbox servers it describes, opens no socket and starts nothing. Beside
// the package lie the files people copy: portico.yaml and the systemd unit.
package configs

import (
	"crypto/tls"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
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

// Listener is one address clients connect to.
type Listener struct {
	Address string  `yaml:"address" reload:"no"` // host:port; an empty host is every interface
	TLS     TLSMode `yaml:"tls" reload:"no"`     // no default: it must be said
	// ProxyProtocol says that clients in the trusted networks begin with a header
	// of HAProxy's PROXY protocol.
	ProxyProtocol bool `yaml:"proxy_protocol" reload:"no"`
}

// TLS is what clients see of us.
type TLS struct {
	Certificates []Certificate `yaml:"certificates"` // the first is used when no name matches
	MinVersion   TLSVersion    `yaml:"min_version"`
	// ClientCA vouches for clients' certificates, which sign them in; see Signin.
	ClientCA string `yaml:"client_ca" file:"relative"`
}

// Certificate is one to show to clients, or a folder of them.
type Certificate struct {
	Cert string `yaml:"cert" file:"relative"`
	Key  string `yaml:"key" file:"relative"`
	// Dir holds pairs NAME.crt and NAME.key, or folders with fullchain.pem and
	// privkey.pem.
	Dir string `yaml:"dir" file:"relative"`
}

// KeyPair names the PEM files of a certificate chain and its private key.
type KeyPair struct {
	Cert string `yaml:"cert" file:"relative"`
	Key  string `yaml:"key" file:"relative"`
}

// Admin is the way in for operators.
type Admin struct {
	// Unix socket of the same HTTP as Address; "" for none
	Socket    string  `yaml:"socket" file:"relative" reload:"no"`
	Address   string  `yaml:"address" reload:"no"`        // HTTP; "" for none
	TLS       KeyPair `yaml:"tls"`                        // for Address
	TokenFile string  `yaml:"token_file" file:"relative"` // bearer token for Address; see ReadToken
	// bearer token that reads and changes nothing; "": on loopback everybody reads
	ReadTokenFile string `yaml:"read_token_file" file:"relative"`
	// whose members may open Socket; "" for none
	SocketGroup    string      `yaml:"socket_group" reload:"no"`
	SocketGroupMay SocketRight `yaml:"socket_group_may"`
	AllowedHosts   []string    `yaml:"allowed_hosts"` // Host headers taken beside loopback names
}

// SocketRight is what members of admin.socket_group may do.
type SocketRight string

// Whoever may change things may read them too.
const (
	SocketRead   SocketRight = "read"
	SocketChange SocketRight = "change"
)

// MailboxServer is a server that holds mailboxes. Exactly one of Address and
// Addresses is given; [MailboxServer.Targets] reads both.
type MailboxServer struct {
	Address    string   `yaml:"address"`
	Addresses  []string `yaml:"addresses"` // tried in turn
	TLS        TLSMode  `yaml:"tls"`
	CA         string   `yaml:"ca" file:"relative"` // PEM; "" for the system's roots
	ServerName string   `yaml:"server_name"`        // name the certificate must carry; "" for the address's host
	// InsecureSkipVerify takes any certificate. Whoever sits between then reads every password.
	InsecureSkipVerify bool `yaml:"insecure_skip_verify"`
	// ActivationPolicy may be changed by command.
	ActivationPolicy ActivationPolicy `yaml:"activation_policy"`
	// SourceAddresses are addresses of this machine to connect from, in turn.
	SourceAddresses []string `yaml:"source_addresses"`
	// ProxyProtocol tells the server the client's address.
	ProxyProtocol ProxyProtocol `yaml:"proxy_protocol"`
	// TrustedID sends the client's address and session id to the server in ID.
	TrustedID bool `yaml:"trusted_id"`
}

// Targets returns the host:port pairs of the server in the order to try them;
// port is for those that have none.
func (m MailboxServer) Targets(port int) []string {
	addresses := m.Addresses
	if m.Address != "" {
		addresses = []string{m.Address}
	}
	targets := make([]string, len(addresses))
	for i, address := range addresses {
		targets[i] = withPort(address, port)
	}
	return targets
}

// withPort completes an address that is a host alone.
func withPort(address string, port int) string {
	if _, _, err := net.SplitHostPort(address); err == nil || address == "" {
		return address
	}
	return net.JoinHostPort(strings.Trim(address, "[]"), strconv.Itoa(port))
}

// Database is a group of mailboxes and the servers that hold a copy of it.
type Database struct {
	// names of mailbox servers, in order of preference; the first is active until a move
	Copies []string `yaml:"copies"`
	// Interchangeable says that all copies are the same mail at all times
	// (shared storage), so that a sign-in may try the next one.
	Interchangeable bool `yaml:"interchangeable"`
	// Activate tells the storage which copy is to be active, when that changes.
	Activate Hook `yaml:"activate"`
}

// Hook is a program or a call over HTTP. At most one of Command and URL is
// given.
type Hook struct {
	Command   []string      `yaml:"command"` // a program and its arguments; no shell
	URL       string        `yaml:"url"`
	CA        string        `yaml:"ca" file:"relative"`         // PEM; "" for the system's roots
	TokenFile string        `yaml:"token_file" file:"relative"` // bearer token for URL; see ReadToken
	Timeout   time.Duration `yaml:"timeout" range:"100ms..4m"`  // of one call
}

// Pace says how fast sign-ins are let in to a mailbox server after a pause or a
// move, when many may have waited.
type Pace struct {
	SigninsPerSecond int           `yaml:"signins_per_second" range:"0..1000000"` // 0 is as fast as they come
	For              time.Duration `yaml:"for" range:"1s..1h"`                    // how long after it
}

// ActivationPolicy says whether databases are activated on a server
// automatically: Exchange's DatabaseCopyAutoActivationPolicy.
type ActivationPolicy string

// Somebody who names server and database is obeyed whatever the policy.
const (
	PolicyUnrestricted ActivationPolicy = "unrestricted"
	PolicyBlocked      ActivationPolicy = "blocked"
)

// Signin says how the proxy signs in to the mailbox servers for a user of whom
// the directory does not say it.
type Signin struct {
	Mode   SigninMode `yaml:"mode"`
	Master Master     `yaml:"master"`
	OAuth  OAuth      `yaml:"oauth"`
}

// OAuth says how tokens are read, for routing and limits alone.
type OAuth struct {
	UserClaim string `yaml:"user_claim"` // of a JWT: whose it is, where the client does not say so; "" for none
}

// Master is a credential that opens every mailbox.
type Master struct {
	User         string     `yaml:"user"`                          // "" for none
	PasswordFile string     `yaml:"password_file" file:"relative"` // see ReadPassword
	Form         MasterForm `yaml:"form"`
}

// Directory says who knows where a user's mailbox is. Without sources, Routing
// alone decides.
type Directory struct {
	Sources  []DirectorySource `yaml:"sources"` // asked in order
	Verify   []Verifier        `yaml:"verify"`  // asked in order whether a password is right, in mode master
	Cache    DirectoryCache    `yaml:"cache"`
	Timeout  time.Duration     `yaml:"timeout" range:"100ms..1m"`  // of one question, the wait for its turn included
	InFlight int               `yaml:"in_flight" range:"1..10000"` // questions at once
}

// DirectorySource is one place to ask. Exactly one of its keys is given.
type DirectorySource struct {
	Rules []DirectoryRule `yaml:"rules"`
	File  string          `yaml:"file" file:"relative"` // a map file, read again when it changes
	HTTP  HTTPDirectory   `yaml:"http"`
	SQL   SQLDirectory    `yaml:"sql"`
	LDAP  LDAPDirectory   `yaml:"ldap"`
}

// Verifier is one place to ask whether a password is right. Exactly one of
// its keys is given.
type Verifier struct {
	File string        `yaml:"file" file:"relative"` // password hashes, read again when it changes
	HTTP HTTPDirectory `yaml:"http"`
	SQL  SQLDirectory  `yaml:"sql"`
	LDAP LDAPDirectory `yaml:"ldap"`
}

// HTTPDirectory is a server that answers in the protocol of nginx's auth_http.
type HTTPDirectory struct {
	URLs         []string `yaml:"urls"`               // asked in turn
	CA           string   `yaml:"ca" file:"relative"` // PEM; "" for the system's roots
	SendPassword bool     `yaml:"send_password"`      // the server judges passwords too; nothing is remembered then
	SecretHeader string   `yaml:"secret_header"`
	SecretFile   string   `yaml:"secret_file" file:"relative"` // what to send in SecretHeader; see ReadToken
}

// SQLDirectory is a database.
type SQLDirectory struct {
	Driver  SQLDriver `yaml:"driver"`
	DSNFile string    `yaml:"dsn_file" file:"relative"` // what to connect to, password included; see ReadPassword
	Query   string    `yaml:"query"`                    // finds one row; {user} and the like are its parameters
}

// LDAPDirectory is an LDAP server.
type LDAPDirectory struct {
	URLs             []string `yaml:"urls"` // asked in turn
	StartTLS         bool     `yaml:"starttls"`
	CA               string   `yaml:"ca" file:"relative"` // PEM; "" for the system's roots
	BindDN           string   `yaml:"bind_dn"`            // "" is anonymous
	BindPasswordFile string   `yaml:"bind_password_file" file:"relative"`
	Base             string   `yaml:"base"`
	Scope            Scope    `yaml:"scope"`
	Filter           string   `yaml:"filter"`  // finds one entry; {user} and the like are filled in
	UserDN           string   `yaml:"user_dn"` // whom to bind as to judge a password, without a search
	// Attributes name what holds the parts of a user's entry.
	Attributes LDAPAttributes `yaml:"attributes"`
}

// LDAPAttributes are the names of attributes; "" is for none.
type LDAPAttributes struct {
	User           string `yaml:"user"`
	Database       string `yaml:"database"`
	Server         string `yaml:"server"`
	Mode           string `yaml:"mode"`
	MaxConnections string `yaml:"max_connections"`
	Refuse         string `yaml:"refuse"`
}

// DirectoryRule says something of the users whose whole name fits. Exactly
// one of Match and Regexp is given.
type DirectoryRule struct {
	Match    string `yaml:"match"` // * is any characters, ? is one
	Regexp   string `yaml:"regexp"`
	User     string `yaml:"user"` // the name to go by; $1 is what the first * or group was
	Database string `yaml:"database"`
	Server   string `yaml:"server"`
	Mode     string `yaml:"mode"`   // passthrough or master; "" for as signin says
	Refuse   string `yaml:"refuse"` // why such users must not sign in; for the log
}

// DirectoryCache bounds what is remembered of the sources' answers.
type DirectoryCache struct {
	Positive time.Duration `yaml:"positive" range:"1ms..24h"` // where a user is
	Negative time.Duration `yaml:"negative" range:"1ms..1h"`  // that there is no such user, or a refusal
	Size     int           `yaml:"size" range:"1..10000000"`  // users
}

// Settings are those of Exchange's Get-/Set-ImapSettings that a proxy has a
// use for. Each can change at run time; see [Settings.With].
type Settings struct {
	LoginType                     LoginType `yaml:"login_type"`
	Banner                        string    `yaml:"banner"`
	MaxConnections                int       `yaml:"max_connections" range:"1..2147483647"`
	MaxConnectionFromSingleIP     int       `yaml:"max_connection_from_single_ip" range:"1..2147483647"`
	MaxConnectionsPerUser         int       `yaml:"max_connections_per_user" range:"1..2147483647"`
	MaxUnauthenticatedConnections int       `yaml:"max_unauthenticated_connections" range:"1..2147483647"`
	// MaxUnauthenticatedConnectionsFromSingleIP does not bind trusted networks.
	MaxUnauthenticatedConnectionsFromSingleIP int `yaml:"max_unauthenticated_connections_from_single_ip" range:"1..2147483647"`

	MaxCommandSize       int `yaml:"max_command_size" range:"1024..16384"`       // bytes
	MaxCommandsPerSecond int `yaml:"max_commands_per_second" range:"0..1000000"` // of one user; 0 is no limit
	MaxCommandsBurst     int `yaml:"max_commands_burst" range:"1..1000000"`      // of one user at once
	// of mailbox servers whose address has none
	ProxyTargetPort int `yaml:"proxy_target_port" range:"1..65535"`
	// EnforceCertificateErrors refuses a mailbox server whose certificate cannot
	// be verified. Without it such errors are told, and the server is used.
	EnforceCertificateErrors          bool          `yaml:"enforce_certificate_errors"`
	PreAuthenticatedConnectionTimeout time.Duration `yaml:"pre_authenticated_connection_timeout" range:"30s..1h"`
	AuthenticatedConnectionTimeout    time.Duration `yaml:"authenticated_connection_timeout" range:"30s..24h"`

	ProtocolLogEnabled bool `yaml:"protocol_log_enabled"` // of all sessions
	// folder; "" is protocol-log in data_dir
	LogFileLocation string `yaml:"log_file_location" file:"relative"`
	// when a new file begins
	LogFileRollOverSettings RollOver `yaml:"log_file_roll_over_settings"`
	// 0 goes by the setting above, unlimited is one file
	LogPerFileSizeQuota Size `yaml:"log_per_file_size_quota"`
	// older files are deleted; 0 is never
	ProtocolLogAgeQuota time.Duration `yaml:"protocol_log_age_quota" range:"0s..87600h"`
	// of all files: the oldest are deleted beyond it
	ProtocolLogSizeQuota Size `yaml:"protocol_log_size_quota"`
	// files that are done
	ProtocolLogCompress  bool              `yaml:"protocol_log_compress"`
	ProtocolLogFormat    ProtocolLogFormat `yaml:"protocol_log_format"`
	ProtocolLogHashUsers bool              `yaml:"protocol_log_hash_users"` // users are shown as a hash
	// of clients the network is shown
	ProtocolLogShortenAddresses bool `yaml:"protocol_log_shorten_addresses"`
}

// Breaker says when a mailbox server that fails is left alone for a while, so
// that sign-ins are refused at once and do not wait for it.
type Breaker struct {
	Failures int           `yaml:"failures" range:"0..1000"` // in a row; 0 is never
	First    time.Duration `yaml:"first" range:"100ms..5m"`  // then it is left alone for so long
	Longest  time.Duration `yaml:"longest" range:"100ms..1h"`
}

// Penalties say how long the answer to a refused sign-in waits: First after
// the first failure of an address or user, then ever longer.
type Penalties struct {
	First   time.Duration `yaml:"first" range:"0s..1m"`
	Longest time.Duration `yaml:"longest" range:"0s..5m"`
	Forget  time.Duration `yaml:"forget" range:"1s..24h"` // after the last failure
	// client networks whose addresses count no failures, nor guesses against all users
	Exempt  []string `yaml:"exempt"`
	Guesses Guesses  `yaml:"guesses"`
}

// Guesses bound how many wrong credentials are judged: of one client address
// against one user, and against all users that have not signed in from there
// lately. AtOnce is after a quiet time; 0 is no bound.
type Guesses struct {
	AtOnce           int `yaml:"at_once" range:"0..10000"`
	PerMinute        int `yaml:"per_minute" range:"1..10000"`
	AddressAtOnce    int `yaml:"address_at_once" range:"0..100000"`
	AddressPerMinute int `yaml:"address_per_minute" range:"1..100000"`
}

// Timeouts bound the steps of setting a session up.
type Timeouts struct {
	// TCP connect to one address of a mailbox server
	Connect   time.Duration `yaml:"connect" range:"100ms..5m"`
	Handshake time.Duration `yaml:"handshake" range:"100ms..5m"` // one TLS handshake, on either side
	// a mailbox server's greeting and capabilities
	ServerGreeting time.Duration `yaml:"server_greeting" range:"100ms..5m"`
	ServerSignin   time.Duration `yaml:"server_signin" range:"100ms..5m"` // a mailbox server's answer to the sign-in
}

// Log is the program's own log, not the protocol log.
type Log struct {
	Level  LogLevel  `yaml:"level"`
	Format LogFormat `yaml:"format" reload:"no"`
	// Signins has a line for each sign-in, however it goes.
	Signins bool `yaml:"signins"`
}

// TLSMode is how a connection gets its TLS.
type TLSMode string

// The three ways of TLS on an IMAP connection (RFC 8314).
const (
	TLSNone     TLSMode = "none"
	TLSStartTLS TLSMode = "starttls"
	TLSImplicit TLSMode = "implicit"
)

// TLSVersion is the oldest TLS version clients may use.
type TLSVersion string

// The versions that are still safe to offer.
const (
	TLS12 TLSVersion = "1.2"
	TLS13 TLSVersion = "1.3"
)

// Number returns the version as crypto/tls counts it.
func (v TLSVersion) Number() uint16 {
	if v == TLS13 {
		return tls.VersionTLS13
	}
	return tls.VersionTLS12
}

// Routing says how users come to their database without a directory.
type Routing string

// RoutingSingle puts everybody into the one database; RoutingHash spreads
// users by rendezvous hashing.
const (
	RoutingSingle Routing = "single"
	RoutingHash   Routing = "hash"
)

// SigninMode says who finds out whether a user is who it says.
type SigninMode string

// In passthrough the mailbox server does, by what the client gave. In master
// the proxy does, and signs in with its own credential.
const (
	SigninPassthrough SigninMode = "passthrough"
	SigninMaster      SigninMode = "master"
)

// MasterForm is how a master credential says whose mailbox is wanted.
type MasterForm string

// By the authorization identity of PLAIN, or by the name USER*MASTER.
const (
	MasterAuthzid   MasterForm = "authzid"
	MasterSeparator MasterForm = "separator"
)

// ProxyProtocol is a version of HAProxy's PROXY protocol.
type ProxyProtocol string

// The versions, and none.
const (
	ProxyProtocolNone ProxyProtocol = "none"
	ProxyProtocolV1   ProxyProtocol = "v1"
	ProxyProtocolV2   ProxyProtocol = "v2"
)

// SQLDriver is a kind of database.
type SQLDriver string

// MySQL is for MariaDB too.
const (
	Postgres SQLDriver = "postgres"
	MySQL    SQLDriver = "mysql"
)

// Scope is how far below its base an LDAP search looks (RFC 4511).
type Scope string

// The scopes.
const (
	ScopeBase Scope = "base"
	ScopeOne  Scope = "one"
	ScopeSub  Scope = "sub"
)

// LoginType says how far a password may travel without TLS.
type LoginType string

// PlainTextLogin takes a password on any connection. The other two demand TLS
// first; they differ in the mechanisms that carry no password.
const (
	PlainTextLogin          LoginType = "plain_text_login"
	PlainTextAuthentication LoginType = "plain_text_authentication"
	SecureLogin             LoginType = "secure_login"
)

// LogLevel is the least severe level that is written.
type LogLevel string

// The levels of the program's log.
const (
	LogDebug LogLevel = "debug"
	LogInfo  LogLevel = "info"
	LogWarn  LogLevel = "warn"
	LogError LogLevel = "error"
)

// LogFormat is the form of a log line.
type LogFormat string

// JSON is for machines, console for people.
const (
	LogJSON    LogFormat = "json"
	LogConsole LogFormat = "console"
)

// RelayIO is by which system calls an event loop receives and sends.
type RelayIO string

// RelayIOAuto is io_uring where the kernel allows it, and epoll elsewhere.
const (
	RelayIOAuto    RelayIO = "auto"
	RelayIOEpoll   RelayIO = "epoll"
	RelayIOIOUring RelayIO = "io_uring"
)

// RollOver is when the protocol log begins a new file.
type RollOver string

// Exchange's periods; they begin at UTC's.
const (
	Hourly  RollOver = "hourly"
	Daily   RollOver = "daily"
	Weekly  RollOver = "weekly"
	Monthly RollOver = "monthly"
)

// ProtocolLogFormat is the form of the protocol log's rows.
type ProtocolLogFormat string

// CSV is Exchange's; JSON is an object in each line.
const (
	ProtocolLogCSV  ProtocolLogFormat = "csv"
	ProtocolLogJSON ProtocolLogFormat = "json"
)

// choice is a text type with a closed set of values.
type choice interface{ choices() []string }

func (TLSMode) choices() []string    { return texts(TLSNone, TLSStartTLS, TLSImplicit) }
func (TLSVersion) choices() []string { return texts(TLS12, TLS13) }
func (Routing) choices() []string    { return texts(RoutingSingle, RoutingHash) }
func (ProxyProtocol) choices() []string {
	return texts(ProxyProtocolNone, ProxyProtocolV1, ProxyProtocolV2)
}
func (ActivationPolicy) choices() []string { return texts(PolicyUnrestricted, PolicyBlocked) }
func (SocketRight) choices() []string      { return texts(SocketRead, SocketChange) }
func (SQLDriver) choices() []string        { return texts(Postgres, MySQL) }
func (Scope) choices() []string            { return texts(ScopeBase, ScopeOne, ScopeSub) }
func (SigninMode) choices() []string       { return texts(SigninPassthrough, SigninMaster) }
func (MasterForm) choices() []string       { return texts(MasterAuthzid, MasterSeparator) }
func (LoginType) choices() []string {
	return texts(PlainTextLogin, PlainTextAuthentication, SecureLogin)
}
func (RelayIO) choices() []string           { return texts(RelayIOAuto, RelayIOEpoll, RelayIOIOUring) }
func (RollOver) choices() []string          { return texts(Hourly, Daily, Weekly, Monthly) }
func (ProtocolLogFormat) choices() []string { return texts(ProtocolLogCSV, ProtocolLogJSON) }
func (LogLevel) choices() []string          { return texts(LogDebug, LogInfo, LogWarn, LogError) }
func (LogFormat) choices() []string         { return texts(LogJSON, LogConsole) }

func texts[T ~string](values ...T) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = string(v)
	}
	return out
}
