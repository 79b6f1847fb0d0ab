package backendtest

import "strings"

// fillerLine is 64 bytes with its line end, so that blocks of filler fit together.
const fillerLine = "The quick brown fox jumps over the lazy dog, and again, and so\r\n"

// fillerBlock is how much filler is kept ready.
const fillerBlock = 1 << 20

// Filler returns the first n bytes of what test servers send as message bodies: lines
// of text, without end.
func Filler(n int) []byte {
	b := make([]byte, n)
	(&fillerReader{}).Read(b)
	return b
}

// fillerReader reads filler without end.
type fillerReader struct{ at int }

func (r *fillerReader) Read(b []byte) (int, error) {
	for i := 0; i < len(b); {
		n := copy(b[i:], fillerLine[r.at:])
		i += n
		r.at = (r.at + n) % len(fillerLine)
	}
	return len(b), nil
}

func newFillerBlock() []byte {
	return []byte(strings.Repeat(fillerLine, fillerBlock/len(fillerLine)))
}
