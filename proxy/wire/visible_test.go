package wire

import "testing"

func TestVisible(t *testing.T) {
	for text, want := range map[string]string{
		"ann@example.org": "ann@example.org",
		`CORP\ann b`:      `CORP\ann b`,
		"jörg@例え.jp":      "jörg@例え.jp",
		"a\x1b[2Jb\x7f":   `a\x1b[2Jb\x7f`,
		"a\r\nb\tc":       `a\x0d\x0ab\x09c`,
		"ann\u202egro":    `ann\xe2\x80\xaegro`, // right-to-left override
		"a\u2066b\u2069":  `a\xe2\x81\xa6b\xe2\x81\xa9`,
		"a\u200bn\u200dn": `a\xe2\x80\x8bn\xe2\x80\x8dn`, // no width
		"a\ufeffb\u00adc": `a\xef\xbb\xbfb\xc2\xadc`,
		"a\u034fb\ufe0f":  `a\xcd\x8fb\xef\xb8\x8f`,
		"\u3164\u115f":    `\xe3\x85\xa4\xe1\x85\x9f`, // letters that are blank
		"a\u00a0b\u2028c": `a\xc2\xa0b\xe2\x80\xa8c`,
		"b\xf6b":          `b\xf6b`,
		"\ufffd":          "\ufffd",
		"":                "",
	} {
		if got := Visible(text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
