package bench

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// Mechanism is the way sessions sign in.
type Mechanism uint8

// The mechanisms. Those other than LOGIN are mechanisms of AUTHENTICATE.
const (
	MechanismLogin Mechanism = iota // the LOGIN command
	MechanismPlain
	MechanismXOAuth2     // the password is a token
	MechanismOAuthBearer // likewise
	MechanismExternal    // by the client's certificate, without a password
)

var mechanismNames = [...]string{"login", "plain", "xoauth2", "oauthbearer", "external"}

// String returns the mechanism's name in lower case.
func (m Mechanism) String() string { return mechanismNames[m] }

// MarshalText implements encoding.TextMarshaler.
func (m Mechanism) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler, in upper or lower case.
func (m *Mechanism) UnmarshalText(text []byte) error {
	i := slices.Index(mechanismNames[:], strings.ToLower(string(text)))
	if i < 0 {
		return fmt.Errorf("%q is not one of %s", text, strings.Join(mechanismNames[:], ", "))
	}
	*m = Mechanism(i)
	return nil
}

// saslName escapes a name for the GS2 header (RFC 5801).
var saslName = strings.NewReplacer("=", "=3D", ",", "=2C")

// credential returns the session's credential.
type credential struct {
	user      User
	mechanism Mechanism // of AUTHENTICATE; PLAIN stands in for LOGIN
}

// credential is the name and secret of a user.
func (o *Options) credential(user User) credential {
	return credential{user, max(o.Mechanism, MechanismPlain)}
}

// message returns the client's first message of the mechanism.
func (c credential) message() string {
	switch c.mechanism {
	case MechanismXOAuth2:
		return "user=" + c.user.Name + "\x01auth=Bearer " + string(c.user.Password) + "\x01\x01"
	case MechanismOAuthBearer:
		return "n,a=" + saslName.Replace(c.user.Name) + ",\x01auth=Bearer " + string(c.user.Password) + "\x01\x01"
	case MechanismExternal:
		return c.user.Name
	}
	return "\x00" + c.user.Name + "\x00" + string(c.user.Password)
}

// encoded returns the message in base64; "=" is an empty initial response.
func (c credential) encoded() string { return base64.StdEncoding.EncodeToString([]byte(c.message())) }

// next returns the client's answer to a further challenge, which explains a refusal. XOAUTH2 needs an empty line,
// OAUTHBEARER a byte 1. Other mechanisms are cancelled.
func (c credential) next() string {
	switch c.mechanism {
	case MechanismXOAuth2:
		return ""
	case MechanismOAuthBearer:
		return base64.StdEncoding.EncodeToString([]byte{1})
	}
	return "*"
}
