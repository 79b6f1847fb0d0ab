package proxy

import "slices"

// open brings the connection to where commands are read: TLS where it comes first, and the greeting.
func (s *session) open() error {
	if s.arrival.listener.TLS == TLSImplicit {
		if err := s.handshake(); err != nil {
			return err
		}
	}
	greeting := append(slices.Grow(s.client.out, firstOut), "* OK ["...)
	greeting = append(s.appendCapabilities(greeting), "] "...)
	greeting = append(greeting, s.set.Banner...)
	s.client.keep(append(greeting, "\r\n"...))
	if s.arrival.listener.TLS == TLSImplicit {
		return nil
	}
	return s.checkPlain()
}
