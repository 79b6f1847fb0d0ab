package testkit

import (
	"crypto/tls"
	"testing"

	"portico/backend/backendtest"
)

// Scripted starts a scripted server that closes with the test. The test fails, with
// the transcript, if a client left the script.
func Scripted(t testing.TB, config *tls.Config, scripts ...string) *backendtest.Scripted {
	t.Helper()
	s, err := backendtest.StartScripted(Listen(t), config, scripts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("scripted server: %v\nso far:\n%s", err, s.Transcript())
		}
	})
	return s
}
