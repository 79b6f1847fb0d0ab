package proxy

import "slices"

// appendCapabilities appends the capability list, as it stands in an untagged response or a response code.
// STARTTLS and the mechanisms depend on TLS and on login_type (RFC 9051 section 6.2.3 and 7.2.2).
func (s *session) appendCapabilities(to []byte) []byte {
	to = append(to, "CAPABILITY IMAP4rev1 LITERAL+ SASL-IR ID"...)
	if s.offersStartTLS() {
		to = append(to, " STARTTLS"...)
	}
	names := s.set.Tier.Mechanisms()
	if !slices.Contains(names, plain) || !s.passwordAllowed() {
		to = append(to, " LOGINDISABLED"...)
	}
	for _, name := range names {
		if s.checkOffered(name) == nil {
			to = append(append(to, " AUTH="...), name...)
		}
	}
	return to
}

// checkOffered returns an Outcome if the client must not use a mechanism now that the mailbox tier supports.
func (s *session) checkOffered(name string) error {
	m, ok := mechanisms[name]
	switch {
	case !ok, name == external && s.certificate() == nil:
		return OutcomeNoMechanism
	case m.secret && !s.passwordAllowed(), s.client.tls == nil && s.set.LoginType == SecureLogin:
		return OutcomePrivacyRequired
	}
	return nil
}

func (s *session) offersStartTLS() bool {
	return s.arrival.listener.TLS == TLSStartTLS && s.client.tls == nil && s.set.TLS != nil
}

// passwordAllowed says whether login_type lets a password travel on this connection.
func (s *session) passwordAllowed() bool {
	return s.client.tls != nil || s.set.LoginType == PlainTextLogin
}
