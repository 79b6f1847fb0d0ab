package backend

import (
	"encoding/base64"
	"errors"
	"slices"
	"strconv"
	"strings"

	"portico/backend/secret"
	"portico/proxy/wire"
)

// The mechanisms, as Credential.Mechanism names them. The first three carry a password, and can replace each other.
const (
	mechanismCommand     = ""            // the LOGIN command (RFC 9051 section 6.2.3)
	mechanismPlain       = "PLAIN"       // RFC 4616
	mechanismLogin       = "LOGIN"       // never standardised, widely spoken
	mechanismXOAUTH2     = "XOAUTH2"     // Google's and Microsoft's, before there was
	mechanismOAuthBearer = "OAUTHBEARER" // RFC 7628
	mechanismSCRAM1      = "SCRAM-SHA-1" // RFC 5802
	mechanismSCRAM256    = "SCRAM-SHA-256"
)

var (
	errNoMechanism = errors.New("the server offers no mechanism for this credential")
	errNUL         = errors.New("the credential contains a NUL byte, which no mechanism can carry")
)

// Credential is what a client signs in with, as the client sent it.
type Credential struct {
	Mechanism string // the SASL mechanism the client used, in upper case; "" is the LOGIN command
	Authzid   string // whom to act as, if not Username; PLAIN and SCRAM alone can carry it
	Username  string
	Password  secret.Value // or the token; "" where the mechanism shows none
	// of a mechanism that is relayed message by message: the client's first, which tells the names above
	First secret.Value
}

// script is a sign-in command, cut where the server must first send a continuation.
type script [][]byte

// script writes the credential as a command for a server with these capabilities: with the client's mechanism if the
// server offers it, otherwise with another one.
func (c Credential) script(tag string, offers wire.Capabilities) (script, error) {
	if strings.ContainsRune(c.Authzid+c.Username+c.Password.Reveal(), 0) {
		return nil, errNUL
	}
	switch mechanism, ok := c.choose(offers); {
	case !ok:
		return nil, errNoMechanism
	case mechanism == mechanismPlain, relayed(mechanism):
		return messageScript(tag, mechanism, c.firstMessage(), offers.Has("SASL-IR")), nil
	case mechanism == mechanismLogin:
		return script{
			[]byte(tag + " AUTHENTICATE LOGIN\r\n"),
			base64Line(c.Username),
			base64Line(c.Password.Reveal()),
		}, nil
	default:
		s := script{[]byte(tag + " LOGIN ")}
		s.astring(c.Username)
		s.text(" ")
		s.astring(c.Password.Reveal())
		s.text("\r\n")
		return s, nil
	}
}

func carriesPassword(mechanism string) bool {
	return mechanism == mechanismCommand || mechanism == mechanismPlain || mechanism == mechanismLogin
}

// relayed says whether the mechanism goes between client and server message by message.
func relayed(mechanism string) bool {
	return mechanism == mechanismXOAUTH2 || mechanism == mechanismOAuthBearer ||
		mechanism == mechanismSCRAM1 || mechanism == mechanismSCRAM256
}

// choose returns the mechanism to use: the first of those worth trying that the server offers.
func (c Credential) choose(offers wire.Capabilities) (mechanism string, ok bool) {
	var worth []string
	switch {
	case relayed(c.Mechanism):
		// a client that finds binding on offer, and not from us, would take us for an attacker (RFC 5802 section 6)
		return c.Mechanism, offers.Has("AUTH="+c.Mechanism) && !offers.Has("AUTH="+c.Mechanism+"-PLUS")
	case !carriesPassword(c.Mechanism):
		return "", false
	case c.Authzid != "" && c.Authzid != c.Username:
		worth = []string{mechanismPlain}
	case c.Mechanism == mechanismCommand && !c.quotable():
		worth = []string{mechanismPlain, mechanismLogin, mechanismCommand}
	default:
		worth = []string{c.Mechanism, mechanismPlain, mechanismLogin, mechanismCommand}
	}
	i := slices.IndexFunc(worth, func(m string) bool {
		if m == mechanismCommand {
			return !offers.Has("LOGINDISABLED")
		}
		return offers.Has("AUTH=" + m)
	})
	if i < 0 {
		return "", false
	}
	return worth[i], true
}

// quotable reports whether LOGIN can carry the credential in quoted strings. Base64 is safer than literals, about
// which servers disagree.
func (c Credential) quotable() bool {
	_, ok := wire.AppendAstring(nil, c.Username+c.Password.Reveal())
	return ok
}

// text appends to the last part.
func (s script) text(t string) { s[len(s)-1] = append(s[len(s)-1], t...) }

// astring appends v as a quoted string. If a quoted string cannot carry it, it appends a literal, which begins a new
// part: the server must agree to each literal first, since otherwise it may read the literal as commands.
func (s *script) astring(v string) {
	last := &(*s)[len(*s)-1]
	quoted, ok := wire.AppendAstring(*last, v)
	if ok {
		*last = quoted
		return
	}
	s.text("{" + strconv.Itoa(len(v)) + "}\r\n")
	*s = append(*s, []byte(v))
}

// quotedIn says whether text of a server repeats the password in any form it was sent in.
func (c Credential) quotedIn(text string) bool {
	password := c.Password.Reveal()
	if password == "" {
		return false
	}
	quoted, _ := wire.AppendAstring(nil, password)
	text = strings.ToUpper(text)
	return slices.ContainsFunc([]string{
		password,
		strings.Trim(string(quoted), `"`),
		base64.StdEncoding.EncodeToString([]byte(password)),
		base64.StdEncoding.EncodeToString([]byte(c.firstMessage())),
	}, func(form string) bool { return form != "" && strings.Contains(text, strings.ToUpper(form)) })
}
