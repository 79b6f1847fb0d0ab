package configs

import (
	"time"
)

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

// Routing says how users come to their database without a directory.
type Routing string

// RoutingSingle puts everybody into the one database; RoutingHash spreads
// users by rendezvous hashing.
const (
	RoutingSingle Routing = "single"
	RoutingHash   Routing = "hash"
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

func (Routing) choices() []string   { return texts(RoutingSingle, RoutingHash) }
func (SQLDriver) choices() []string { return texts(Postgres, MySQL) }
func (Scope) choices() []string     { return texts(ScopeBase, ScopeOne, ScopeSub) }
