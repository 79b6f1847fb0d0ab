package backend

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"portico/backend/secret"
)

// ErrMessage says that a client's message does not fit its mechanism. The error that wraps it tells why, without the
// message.
var ErrMessage = errors.New("not a message of the mechanism")

// ReadMessage reads the first message of a client, which is all that has to be understood of any mechanism: who signs
// in, as whom. The mechanism is one of PLAIN, XOAUTH2, OAUTHBEARER, SCRAM-SHA-1 and SCRAM-SHA-256.
func ReadMessage(mechanism string, message []byte) (Credential, error) {
	c := Credential{Mechanism: mechanism}
	if mechanism == mechanismPlain {
		return c, c.readPlain(string(message))
	}
	c.First = secret.Value(message)
	switch mechanism {
	case mechanismXOAUTH2:
		return c, c.readXOAUTH2(string(message))
	case mechanismOAuthBearer:
		return c, c.readOAuthBearer(string(message))
	}
	return c, c.readSCRAM(string(message))
}

// readPlain is PLAIN (RFC 4616): authorization identity, user name and password.
func (c *Credential) readPlain(message string) error {
	fields := strings.Split(message, "\x00")
	if len(fields) != 3 {
		return fmt.Errorf("%w: PLAIN with %d fields", ErrMessage, len(fields))
	}
	c.Authzid, c.Username, c.Password = fields[0], fields[1], secret.Value(fields[2])
	return nil
}

// readXOAUTH2 is what Google and Microsoft speak: user=NAME^Aauth=Bearer TOKEN^A^A.
func (c *Credential) readXOAUTH2(message string) error {
	user, rest, _ := strings.Cut(message, "\x01")
	name, ok := strings.CutPrefix(user, "user=")
	if !ok {
		return fmt.Errorf("%w: XOAUTH2 does not begin with a user", ErrMessage)
	}
	c.Username = name
	return c.readBearer(rest)
}

// readOAuthBearer is OAUTHBEARER (RFC 7628): a header as SCRAM has it, and pairs of key and value. The authorization
// identity may be left out there, since a token tells whose it is; Username is "" then.
func (c *Credential) readOAuthBearer(message string) error {
	authzid, rest, err := readGS2(message)
	if err != nil {
		return err
	}
	pairs, ok := strings.CutPrefix(rest, "\x01")
	if !ok {
		return fmt.Errorf("%w: OAUTHBEARER without a token", ErrMessage)
	}
	c.Username = authzid
	return c.readBearer(pairs)
}

// readBearer finds the token in pairs that end in ^A each, and in another ^A.
func (c *Credential) readBearer(pairs string) error {
	pairs, ok := strings.CutSuffix(pairs, "\x01\x01")
	if !ok {
		return fmt.Errorf("%w: cut off", ErrMessage)
	}
	for pair := range strings.SplitSeq(pairs, "\x01") {
		value, ok := strings.CutPrefix(pair, "auth=")
		scheme, token, _ := strings.Cut(value, " ")
		if ok && strings.EqualFold(scheme, "Bearer") {
			c.Password = secret.Value(strings.TrimLeft(token, " "))
			return nil
		}
	}
	return fmt.Errorf("%w: no token", ErrMessage)
}

// readSCRAM is the client's first message of SCRAM (RFC 5802 section 7).
func (c *Credential) readSCRAM(message string) error {
	authzid, rest, err := readGS2(message)
	if err != nil {
		return err
	}
	field, rest, _ := strings.Cut(rest, ",")
	name, ok := strings.CutPrefix(field, "n=") // an extension that must be understood (m=) would stand here
	if !ok || !strings.HasPrefix(rest, "r=") {
		return fmt.Errorf("%w: SCRAM without user or nonce", ErrMessage)
	}
	c.Authzid = authzid
	c.Username, err = unescapeName(name)
	return err
}

// readGS2 reads the header that tells of channel binding and of the authorization identity (RFC 5801 section 4). A
// client that binds means the TLS connection to us, which no mailbox server has; nobody offered it.
func readGS2(message string) (authzid, rest string, err error) {
	fields := strings.SplitN(message, ",", 3)
	if len(fields) != 3 || fields[0] != "n" && fields[0] != "y" {
		return "", "", fmt.Errorf("%w: no header, or channel binding", ErrMessage)
	}
	if fields[1] != "" {
		name, ok := strings.CutPrefix(fields[1], "a=")
		if !ok {
			return "", "", fmt.Errorf("%w: the authorization identity is missing or misplaced", ErrMessage)
		}
		if authzid, err = unescapeName(name); err != nil {
			return "", "", err
		}
	}
	return authzid, fields[2], nil
}

// nameEscapes are the two characters that a name in such a message cannot hold as they are.
var (
	nameEscapes   = strings.NewReplacer("=", "=3D", ",", "=2C")
	nameUnescapes = strings.NewReplacer("=3D", "=", "=2C", ",")
)

func unescapeName(escaped string) (string, error) {
	name := nameUnescapes.Replace(escaped)
	if nameEscapes.Replace(name) != escaped {
		return "", fmt.Errorf("%w: bad escape in a name", ErrMessage)
	}
	return name, nil
}

// Rename makes user the one whose mailbox the credential asks for, as the directory has it. It says whether that is
// possible: what SCRAM says of the user is sealed.
func (c *Credential) Rename(user string) bool {
	switch message := c.First.Reveal(); c.Mechanism {
	case mechanismXOAUTH2:
		_, rest, _ := strings.Cut(message, "\x01")
		c.First = secret.Value("user=" + user + "\x01" + rest)
		c.Username = user
	case mechanismOAuthBearer:
		fields := strings.SplitN(message, ",", 3)
		c.First = secret.Value(fields[0] + ",a=" + nameEscapes.Replace(user) + "," + fields[2])
		c.Username = user
	case mechanismSCRAM1, mechanismSCRAM256:
		return false
	default:
		if c.Authzid != "" {
			c.Authzid = user
		} else {
			c.Username = user
		}
	}
	return true
}

// firstMessage writes the first message of the mechanism, where it has one that is all of the client's own.
func (c *Credential) firstMessage() string {
	if relayed(c.Mechanism) {
		return c.First.Reveal()
	}
	return c.Authzid + "\x00" + c.Username + "\x00" + c.Password.Reveal()
}

func messageScript(tag, mechanism, message string, initialResponse bool) script {
	command := tag + " AUTHENTICATE " + mechanism
	switch {
	case !initialResponse:
		return script{[]byte(command + "\r\n"), base64Line(message)}
	case message == "": // RFC 4959 section 3
		return script{[]byte(command + " =\r\n")}
	}
	return script{append([]byte(command+" "), base64Line(message)...)}
}

func base64Line(s string) []byte {
	return append(base64.StdEncoding.AppendEncode(nil, []byte(s)), "\r\n"...)
}
