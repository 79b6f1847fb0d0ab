package configs

import (
	"time"
)

// Signin says how the proxy signs users in to mailbox servers, unless the directory says it for a user.
type Signin struct {
	Mode   SigninMode `yaml:"mode"`
	Master Master     `yaml:"master"`
	OAuth  OAuth      `yaml:"oauth"`
}

// OAuth says how to read tokens. Portico uses what it reads for routing and limits only.
type OAuth struct {
	// UserClaim is the claim of a JWT that holds the user's name, if the client does not send it; "" for none.
	UserClaim string `yaml:"user_claim"`
}

// Master is a credential that can open every mailbox.
type Master struct {
	User         string     `yaml:"user"`                          // "" for none
	PasswordFile string     `yaml:"password_file" file:"relative"` // see ReadPassword
	Form         MasterForm `yaml:"form"`
}

// Penalties are the authentication delays: how long Portico holds the answer to a refused sign-in. It is First after
// the first failure of an address or user, and doubles up to Longest.
type Penalties struct {
	First   time.Duration `yaml:"first" range:"0s..1m"`
	Longest time.Duration `yaml:"longest" range:"0s..5m"`
	Forget  time.Duration `yaml:"forget" range:"1s..24h"` // time after the last failure at which it is forgotten
	// client networks whose addresses have no penalties and no limit for guesses against all users
	Exempt  []string `yaml:"exempt"`
	Guesses Guesses  `yaml:"guesses"`
}

// Guesses limits how many wrong credentials are checked: from one client address against one user, and against all
// users who have not signed in from that address lately. AtOnce and AddressAtOnce are the burst after a quiet time; 0
// is no limit.
type Guesses struct {
	AtOnce           int `yaml:"at_once" range:"0..10000"`
	PerMinute        int `yaml:"per_minute" range:"1..10000"`
	AddressAtOnce    int `yaml:"address_at_once" range:"0..100000"`
	AddressPerMinute int `yaml:"address_per_minute" range:"1..100000"`
}

// SigninMode says who checks a user's credentials.
type SigninMode string

// In passthrough the mailbox server checks the client's credentials. In master the proxy checks them, and signs in
// with its own credential.
const (
	SigninPassthrough SigninMode = "passthrough"
	SigninMaster      SigninMode = "master"
)

// MasterForm is how a sign-in with a master credential names the user.
type MasterForm string

// As the authorization identity of PLAIN, or in the name USER*MASTER.
const (
	MasterAuthzid   MasterForm = "authzid"
	MasterSeparator MasterForm = "separator"
)

// LoginType says whether passwords may be sent without TLS.
type LoginType string

// PlainTextLogin accepts a password on any connection. The other two require TLS first; they differ in the mechanisms
// that send no password.
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
