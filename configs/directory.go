package configs

import (
	"time"
)

// Directory lists the sources that know where a user's mailbox is. Without sources, Routing alone decides.
type Directory struct {
	Sources  []DirectorySource `yaml:"sources"` // asked in order
	Verify   []Verifier        `yaml:"verify"`  // asked in order whether a password is correct, in mode master
	Cache    DirectoryCache    `yaml:"cache"`
	Timeout  time.Duration     `yaml:"timeout" range:"100ms..1m"`  // of one lookup, including the wait for its turn
	InFlight int               `yaml:"in_flight" range:"1..10000"` // concurrent lookups
}

// DirectorySource is one source of the directory. Exactly one of its keys is set.
type DirectorySource struct {
	Rules []DirectoryRule `yaml:"rules"`
	File  string          `yaml:"file" file:"relative"` // a map file, read again when it changes
	HTTP  HTTPDirectory   `yaml:"http"`
	SQL   SQLDirectory    `yaml:"sql"`
	LDAP  LDAPDirectory   `yaml:"ldap"`
}

// Verifier is one source that checks passwords. Exactly one of its keys is set.
type Verifier struct {
	File string        `yaml:"file" file:"relative"` // password hashes, read again when it changes
	HTTP HTTPDirectory `yaml:"http"`
	SQL  SQLDirectory  `yaml:"sql"`
	LDAP LDAPDirectory `yaml:"ldap"`
}

// HTTPDirectory is a server that answers in the protocol of nginx's auth_http.
type HTTPDirectory struct {
	URLs         []string `yaml:"urls"`               // asked in turn
	CA           string   `yaml:"ca" file:"relative"` // PEM; "" for the system's CAs
	SendPassword bool     `yaml:"send_password"`      // the server checks passwords too; then no answer is cached
	SecretHeader string   `yaml:"secret_header"`
	SecretFile   string   `yaml:"secret_file" file:"relative"` // value of SecretHeader; see ReadToken
}

// SQLDirectory is an SQL database.
type SQLDirectory struct {
	Driver  SQLDriver `yaml:"driver"`
	DSNFile string    `yaml:"dsn_file" file:"relative"` // the data source name, including the password; see ReadPassword
	Query   string    `yaml:"query"`                    // finds one row; {user} and similar words are its parameters
}

// LDAPDirectory is an LDAP server.
type LDAPDirectory struct {
	URLs             []string `yaml:"urls"` // asked in turn
	StartTLS         bool     `yaml:"starttls"`
	CA               string   `yaml:"ca" file:"relative"` // PEM; "" for the system's CAs
	BindDN           string   `yaml:"bind_dn"`            // "" binds anonymously
	BindPasswordFile string   `yaml:"bind_password_file" file:"relative"`
	Base             string   `yaml:"base"`
	Scope            Scope    `yaml:"scope"`
	Filter           string   `yaml:"filter"`  // finds one entry; {user} and similar words are replaced
	UserDN           string   `yaml:"user_dn"` // DN to bind as, to check a password without a search
	// Attributes names the attributes of a user's entry.
	Attributes LDAPAttributes `yaml:"attributes"`
}

// LDAPAttributes are the names of attributes; "" is none.
type LDAPAttributes struct {
	User           string `yaml:"user"`
	Database       string `yaml:"database"`
	Server         string `yaml:"server"`
	Mode           string `yaml:"mode"`
	MaxConnections string `yaml:"max_connections"`
	Refuse         string `yaml:"refuse"`
}

// DirectoryRule applies to the users whose whole name matches. Exactly one of Match and Regexp is set.
type DirectoryRule struct {
	Match    string `yaml:"match"` // * is any characters, ? is one
	Regexp   string `yaml:"regexp"`
	User     string `yaml:"user"` // the name to use instead; $1 is what the first * or group matched
	Database string `yaml:"database"`
	Server   string `yaml:"server"`
	Mode     string `yaml:"mode"`   // passthrough or master; "" for the mode of signin
	Refuse   string `yaml:"refuse"` // why such users cannot sign in; for the log
}

// DirectoryCache limits the cache of the sources' answers.
type DirectoryCache struct {
	Positive time.Duration `yaml:"positive" range:"1ms..24h"` // lifetime of a user's location
	// lifetime of a refusal, or of the answer that there is no such user
	Negative time.Duration `yaml:"negative" range:"1ms..1h"`
	Size     int           `yaml:"size" range:"1..10000000"` // users
}

// Routing says how to assign users to databases without a directory.
type Routing string

// RoutingSingle assigns all users to the only database; RoutingHash spreads users by rendezvous hashing.
const (
	RoutingSingle Routing = "single"
	RoutingHash   Routing = "hash"
)

// SQLDriver is a kind of SQL database.
type SQLDriver string

// MySQL is also for MariaDB.
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
