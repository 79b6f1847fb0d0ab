package cli

import (
	"strings"
	"testing"
)

// A condition without quotes is told from a mistyped flag.
func TestConditionsNeedQuotes(t *testing.T) {
	for want, args := range map[string][]string{
		"put the whole condition in quotes, as in --where 'FIELD -ne VALUE'": {"health", "get", "--where",
			"AlertValue", "-ne",
			"Healthy"},
		"all of it in quotes": {"session", "list", "--where", "Age"},
	} {
		if status, _, errs := command(args...); status != StatusFailed || !strings.Contains(errs, want) {
			t.Errorf("%q: status %d, %s", args, status, errs)
		}
	}
}
