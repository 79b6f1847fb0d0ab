package wire

import (
	"strings"
	"testing"
)

func TestForbiddenScanner(t *testing.T) {
	tests := []struct {
		text string
		seen bool
	}{
		{"a COMPRESS DEFLATE\r\n", true},
		{"a compress deflate x\r\n", true},
		{"a COMPRESS\tDEFLATE\n", true},
		{" a \x00 CoMpReSs  DeFlAtE\n", true},
		{"a COMPRESS \"DEFLATE\"\r\n", true},
		{"a COMPRESS {7+}\r\nDEFLATE\r\n", true},
		{"a COMPRESS~{7}\r\n", true},
		{"a NOOP {20+}\r\nb COMPRESS DEFLATE\r\nc NOOP\r\n", true},
		{"x APPEND i {7+}\r\nc COMPRESS DEFLATE\r\n", true},
		{"DONE\r\nc UNAUTHENTICATE\r\n", true},
		{"c UNAUTHENTICATE\n", true},
		{"c UNAUTHENTICATE(\n", true},
		{"\xff\xfe UNAUTHENTICATE \r\n", true},
		{"a NOOP\r\nb COMPRESS\r\n", false},
		{"We compress data\r\n", false},
		{"a COMPRESSED DEFLATE\r\n", false},
		{"a COMPRESS DEFLAT\r\n", false},
		{"a COMPRESS DE\r\nFLATE\r\n", false},
		{"COMPRESS DEFLATE\r\n", false},
		{"a b COMPRESS DEFLATE\r\n", false},
		{"a UNAUTHENTICATED\r\n", false},
		{"a UNAUTH\r\nENTICATE\r\n", false},
		{"UNAUTHENTICATE\r\n", false},
		{strings.Repeat("ABCDEFGH", 1000) + "\r\n", false},
	}
	for _, test := range tests {
		for cut := range len(test.text) {
			var l ForbiddenScanner
			at := l.Find([]byte(test.text[:cut]))
			if at < 0 {
				if at = l.Find([]byte(test.text[cut:])); at >= 0 {
					at += cut
				}
			}
			if (at >= 0) != test.seen {
				t.Errorf("%.60q cut at %d: seen at %d", test.text, cut, at)
			}
			if rest := at + 1; at >= 0 && test.text[at] != '\n' && !strings.Contains(test.text[rest:], "\n") {
				t.Errorf("%.60q: seen only at %d, when the server has it all", test.text, at)
			}
		}
	}
}

// In an odd line any word may be the verb, whatever stands around it, and a line may follow IDLE and AUTHENTICATE.
func TestForbiddenScannerInAnOddLine(t *testing.T) {
	for _, test := range []struct {
		text        string
		seen, waits bool
	}{
		{" k COMPRESS DEFLATE\r\n", true, false},
		{"(compress)", true, false},
		{"x\x00y=UnAuthenticate\r", true, false},
		{"COMPRESS\n", true, false},
		{"COMPRESSED UNAUTHENTICATED XCOMPRESS COMPRES COMPREXX\r\n", false, false},
		{" k IDLE\r\n", false, true},
		{"(k\tAuthenticate X\r\n", false, true},
		{"k IDLED XIDLE AUTHENTICATES IDL AUTHENTICAT\r\n", false, false},
		{"a IDLE\r\nk COMPRESS DEFLATE\r\n", true, true},
		{"a NOOP\r\nk IDLE\r\nCOMPRESS\r\n", false, false}, // the lines behind are not odd
	} {
		for cut := range len(test.text) {
			var l ForbiddenScanner
			l.OddLine()
			at := l.Find([]byte(test.text[:cut]))
			if at < 0 {
				at = l.Find([]byte(test.text[cut:]))
			}
			if (at >= 0) != test.seen || l.MayContinue() != test.waits {
				t.Errorf("%q cut at %d: seen at %d, waits %v", test.text, cut, at, l.MayContinue())
			}
			if l.InLine(); l.Find([]byte("k COMPRESS DEFLATE\r\n")) >= 0 || l.MayContinue() != test.waits {
				t.Errorf("%q: a command seen where none can be, waits %v", test.text, l.MayContinue())
			}
		}
	}
}

func BenchmarkForbiddenScanner(b *testing.B) {
	for name, line := range map[string]string{"base64": strings.Repeat("QUJD", 19) + "\r\n",
		"text": "the quick brown fox jumps over the lazy dog\r\n"} {
		text := []byte(strings.Repeat(line, 1<<20/len(line)))
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			var l ForbiddenScanner
			for b.Loop() {
				l.Find(text)
			}
		})
	}
}
