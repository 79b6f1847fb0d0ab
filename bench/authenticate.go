package bench

import (
	"encoding/base64"
	"errors"
	"strings"
	"time"
)

// authenticate signs in with LOGIN, or with AUTHENTICATE if the mechanism or the user name requires it.
func (s *session) authenticate(c *clientConn) error {
	name, password := quoted(s.user.Name), quoted(string(s.user.Password))
	before := c.caps
	c.caps = capabilities{} // other capabilities are valid after sign-in
	if s.engine.options.Mechanism == MechanismLogin && name != "" && password != "" {
		return fatal(c.command(rowLogin, name+" "+password, time.Time{}, c.caps.read))
	}
	mechanism := strings.ToUpper(c.credential.mechanism.String())
	answer := c.credential.encoded()
	if before.saslIR {
		mechanism, answer = mechanism+" "+answer, c.credential.next()
	}
	sent, refused, reason := before.saslIR, false, "" // whether the credentials were sent, and then something else
	c.begin(rowAuthenticate, mechanism, time.Time{})
	c.plus = true
	err := c.wait(rowAuthenticate, func(resp *response) {
		c.caps.read(resp)
		if resp.kind != continuation {
			return
		}
		if challenge, err := base64.StdEncoding.DecodeString(string(resp.args)); err == nil {
			reason = string(challenge)
		}
		c.Write([]byte(answer + "\r\n")) // if this fails, so does reading the answer
		answer = c.credential.next()
		sent, refused = true, sent
	})
	c.plus = false
	switch {
	case err == nil && !sent:
		err = c.unearned("OK, and the server did not ask for the credentials")
	case err == nil && refused:
		err = c.unearned("OK to an exchange that was cancelled")
	}
	return fatal(because(err, c.credential.hide(reason)))
}

// unearned is the error of a sign-in that was accepted and must not have been.
func (c *clientConn) unearned(text string) error {
	c.spoil(rowAuthenticate)
	return c.giveUp(failed(KindProtocol, rowAuthenticate, "%s", text))
}

// because adds the server's reason to a refusal. Mechanisms with tokens send it in a challenge.
func because(err error, reason string) error {
	var f *failure
	if reason == "" || !errors.As(err, &f) || f.kind != KindSignIn {
		return err
	}
	return failed(f.kind, f.row, "%v: %s", f.err, shown(reason, credential{}))
}

// fatal turns a refusal into an error that ends the connection.
func fatal(err error) error {
	var f *failure
	if errors.As(err, &f) && f.kind.keeps() {
		return &failure{KindSignIn, f.row, f.err}
	}
	return err
}

// extend sends the further commands that the run asks for after sign-in: ID, and COMPRESS last.
func (s *session) extend(c *clientConn) error {
	o := &s.engine.options
	if !o.ID && !o.Compress {
		return nil
	}
	if err := c.learn(); err != nil {
		return fatal(err)
	}
	if o.ID {
		if !c.caps.id {
			return c.giveUp(failed(KindSignIn, rowID, "the server does not offer ID"))
		}
		if err := c.command(rowID, identity(o.Version), time.Time{}, nil); err != nil {
			return fatal(err)
		}
	}
	if o.Compress {
		return s.compress(c)
	}
	return nil
}

// identity is the argument of ID (RFC 2971).
func identity(version string) string {
	if version = quoted(version); version == "" || version == `""` {
		return `("name" "portico bench")`
	}
	return `("name" "portico bench" "version" ` + version + `)`
}

// compress starts COMPRESS=DEFLATE on the connection (RFC 4978).
func (s *session) compress(c *clientConn) error {
	if !c.caps.deflate {
		return c.giveUp(failed(KindSignIn, rowCompress, "the server does not offer COMPRESS=DEFLATE"))
	}
	if err := c.command(rowCompress, "DEFLATE", time.Time{}, nil); err != nil {
		return fatal(err)
	}
	early := c.in.rest() // what follows the answer is compressed
	s.mu.Lock()
	defer s.mu.Unlock()
	c.setConn(newDeflated(c.conn, early, func(in, out uint64) { c.shard.movedCompressed(in, out) }))
	return nil
}
