package proxy

import "crypto/x509"

// certificate returns the client's certificate, which the TLS configuration has verified; nil if there is none.
func (s *session) certificate() *x509.Certificate {
	if s.client.tls == nil {
		return nil
	}
	chains := s.client.tls.ConnectionState().VerifiedChains
	if len(chains) == 0 {
		return nil
	}
	return chains[0][0]
}

// identity returns the user name in a certificate: its first mail address, or its common name.
func identity(c *x509.Certificate) string {
	if len(c.EmailAddresses) > 0 {
		return c.EmailAddresses[0]
	}
	return c.Subject.CommonName
}
