package proxy

// open brings the connection to where commands are read: TLS where it comes first, and the greeting.
func (s *session) open() error {
	if s.door.TLS == TLSImplicit {
		if err := s.handshake(); err != nil {
			return err
		}
	}
	s.client.say("* OK [" + s.capabilities() + "] " + s.set.Banner)
	if s.door.TLS == TLSImplicit {
		return nil
	}
	return s.checkPlain()
}
