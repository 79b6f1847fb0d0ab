package configs

import (
	"time"
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

// LoginType says how far a password may travel without TLS.
type LoginType string

// PlainTextLogin takes a password on any connection. The other two demand TLS
// first; they differ in the mechanisms that carry no password.
const (
	PlainTextLogin          LoginType = "plain_text_login"
	PlainTextAuthentication LoginType = "plain_text_authentication"
	SecureLogin             LoginType = "secure_login"
)

func (SigninMode) choices() []string { return texts(SigninPassthrough, SigninMaster) }
func (MasterForm) choices() []string { return texts(MasterAuthzid, MasterSeparator) }
func (LoginType) choices() []string {
	return texts(PlainTextLogin, PlainTextAuthentication, SecureLogin)
}
