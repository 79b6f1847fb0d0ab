package bench

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

// Mechanism is how sessions sign in.
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

// String returns the mechanism's name in small letters.
func (m Mechanism) String() string { return mechanismNames[m] }

// MarshalText is String.
func (m Mechanism) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads what String writes, in small or capital letters.
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

// credential is what a session signs in with.
type credential struct {
	user      User
	mechanism Mechanism // of AUTHENTICATE; PLAIN stands in for LOGIN
}

// credential is what a user signs in with.
func (o *Options) credential(user User) credential {
	return credential{user, max(o.Mechanism, MechanismPlain)}
}

// message is the client's first message of the mechanism.
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

// encoded is the message as it is sent: "=" is an empty initial response.
func (c credential) encoded() string { return base64.StdEncoding.EncodeToString([]byte(c.message())) }

// next is the client's answer to a further challenge, which explains a refusal: XOAUTH2 wants an empty line,
// OAUTHBEARER a byte 1. Others are cancelled.
func (c credential) next() string {
	switch c.mechanism {
	case MechanismXOAuth2:
		return ""
	case MechanismOAuthBearer:
		return base64.StdEncoding.EncodeToString([]byte{1})
	}
	return "*"
}

// secretStart is how many bytes at the beginning of a secret give it away: a server may say it back and cut it.
const secretStart = 16

// hide masks the password in a server's words, in the forms in which it was sent.
func (c credential) hide(text string) string {
	password := string(c.user.Password)
	if password == "" {
		return text
	}
	message := c.encoded()
	escaped := strings.Trim(quoted(password), `"`)
	for _, form := range []string{message, base64.StdEncoding.EncodeToString([]byte(password)), escaped, password} {
		if form == "" {
			continue
		}
		text = strings.ReplaceAll(text, form, passwordMask)
		if len(form) > secretStart {
			text = hideFrom(text, form[:secretStart])
		}
	}
	return text
}

// hideFrom masks each word that holds the beginning of a secret, from there on.
func hideFrom(text, start string) string {
	for {
		at := strings.Index(text, start)
		if at < 0 {
			return text
		}
		end := len(text)
		if n := strings.IndexAny(text[at+len(start):], " \"\r\n"); n >= 0 {
			end = at + len(start) + n
		}
		text = text[:at] + passwordMask + text[end:]
	}
}
