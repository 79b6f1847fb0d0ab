package testkit

import (
	"testing"

	"portico/backend/backendtest"
)

// Dovecot starts a Dovecot that stops with the test; if the test fails, its log is
// shown. The test is skipped (see Need) where there is none.
func Dovecot(t testing.TB, o backendtest.DovecotOptions) *backendtest.Dovecot {
	t.Helper()
	Need(t, "dovecot")
	d, err := backendtest.StartDovecot(Context(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("dovecot's log:\n%s", d.ReadLog())
		}
		if err := d.Stop(); err != nil {
			t.Errorf("stop dovecot: %v", err)
		}
	})
	return d
}
