package cli

import (
	"strings"
	"testing"
)

// Whoever mistypes the name of a canary does not believe that it has stopped. One without a name sees that there is
// none.
func TestUnknownCanary(t *testing.T) {
	canary := `{"name":"v24","database":"db1","server":"mbx2","percent":1,"arms":[]}`
	site := &fakeSite{answers: map[string]string{"canaries": "[" + canary + "]",
		"site/canaries": nodes(t, "mx1:["+canary+"]"), "canaries/v24/stop": `{"what":"canary v24","was":"1 %","now":"none"}`}}
	for _, words := range []string{"canary stop v2", "canary status v2"} {
		status, out, errs := site.ask(t, strings.Fields(words)...)
		if status != StatusFailed || out != "" || !strings.Contains(errs, `no canary "v2"`) ||
			!strings.Contains(errs, "v24") {
			t.Errorf("%s: %d, %q, %q", words, status, out, errs)
		}
	}
	if status, _, errs := site.ask(t, "canary", "stop", "v24"); status != StatusFine || errs != "" {
		t.Errorf("%d, %q", status, errs)
	}
	site.answers["site/canaries"] = nodes(t, "mx1:[]")
	if status, out, errs := site.ask(t, "canary", "status"); status != StatusBad || errs != "(none)\n" ||
		strings.Count(out, "\n") != 1 {
		t.Errorf("%d, %q, %q", status, out, errs)
	}
	if _, out, errs := site.ask(t, "canary", "status", "-o", "json"); out != "[]\n" || errs != "" {
		t.Errorf("%q, %q", out, errs)
	}
}
