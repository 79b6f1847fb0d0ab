package wire

import (
	"strings"
	"testing"
)

func TestVerbs(t *testing.T) {
	for v := VerbOther + 1; v < numVerbs; v++ {
		name := v.String()
		if name == "" || name != strings.ToUpper(name) {
			t.Errorf("verb %d is called %q", v, name)
		}
		word, uid := strings.CutPrefix(name, "UID ")
		if len(word) > maxVerb {
			t.Errorf("%s is longer than maxVerb", name)
		}
		for _, w := range []string{word, strings.ToLower(word)} {
			if got := lookupVerb([]byte(w), uid); got != v {
				t.Errorf("%q is found as %s", w, got)
			}
		}
		if got := lookupVerb([]byte(word+"X"), uid); got != VerbOther {
			t.Errorf("%sX is found as %s", name, got)
		}
	}
	for _, word := range []string{"", "other", "OTHER", "UID", strings.Repeat("X", 99)} {
		if lookupVerb([]byte(word), false) != VerbOther || lookupVerb([]byte(word), true) != VerbOther {
			t.Errorf("%q is a verb", word)
		}
	}
}
