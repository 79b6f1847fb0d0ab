package cli

import (
	"strings"
	"testing"
)

// What people call a command is answered with the command that does it, and never with one that does something else.
func TestWishes(t *testing.T) {
	for words, want := range map[string]string{
		"user unlock alice": "portico penalty clear USER", "user list": "portico session list",
		"status": "portico health report", "kick alice": "portico user kick USER",
		"alert": "portico health alerts", "session kick x": "portico session kill ID",
		"explain x": "portico health explain", "block mbx1": "portico server block SERVER",
		"sesion list": `"session"`, "health gett": `"get"`,
	} {
		status, _, errs := command(strings.Fields(words)...)
		if status != StatusFailed || !strings.Contains(errs, "did you mean "+want) {
			t.Errorf("%s: %d, %s", words, status, errs)
		}
	}
	for _, words := range []string{"user frobnicate", "zzz", "database zzz"} {
		if status, _, errs := command(strings.Fields(words)...); status != StatusFailed ||
			strings.Contains(errs, "did you mean") {
			t.Errorf("%s: %d, %s", words, status, errs)
		}
	}
	for words, wish := range suggestions {
		name, _, _ := strings.Cut(wish, ",")
		for _, part := range strings.Split(name, " or ") {
			if found, _, err := New(program).Find(strings.Fields(strings.TrimPrefix(part, "portico "))); err != nil ||
				!found.Runnable() {
				t.Errorf("%s: there is no portico %s", words, part)
			}
		}
	}
}
