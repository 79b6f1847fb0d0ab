package proxy

import "strings"

// capabilities returns what the client may use now, as it stands in an untagged response or a response code. STARTTLS and the
// mechanisms depend on TLS and on login_type (RFC 9051 section 6.2.3 and 7.2.2).
func (s *session) capabilities() string {
	var list strings.Builder
	list.WriteString("CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID")
	if s.offersStartTLS() {
		list.WriteString(" STARTTLS")
	}
	if !s.passwordAllowed() {
		list.WriteString(" LOGINDISABLED")
		return list.String()
	}
	for _, m := range mechanisms {
		list.WriteString(" AUTH=" + m.name)
	}
	return list.String()
}

func (s *session) offersStartTLS() bool {
	return s.door.TLS == TLSStartTLS && s.client.tls == nil && s.set.TLS != nil
}

// passwordAllowed says whether login_type lets a password travel on this connection.
func (s *session) passwordAllowed() bool {
	return s.client.tls != nil || s.set.LoginType == PlainTextLogin
}
