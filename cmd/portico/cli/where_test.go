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
	if _, err := sessionFields.where("For -gt 10s", nil); err != nil {
		t.Error(err)
	}
	for _, far := range []string{"Foo -eq 1", "Version -eq 1", "Agent -eq 1"} {
		if _, err := sessionFields.where(far, nil); err == nil || strings.Contains(err.Error(), "did you mean") {
			t.Errorf("%s: %v", far, err)
		}
	}
	if _, err := sessionFields.where("Usr -eq 1", nil); err == nil || !strings.Contains(err.Error(),
		"did you mean User?") {
		t.Error(err)
	}
}
