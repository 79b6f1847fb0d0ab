package wire

import (
	"bytes"
	"slices"
	"strings"
)

// AppendFilteredCapabilities appends a whole line that holds a capability list, without the hidden names: COMPRESS=*,
// UNAUTHENTICATE and STARTTLS. offered says whether COMPRESS or UNAUTHENTICATE was among them. The line is a response
// "* CAPABILITY ..." or one with the code "[CAPABILITY ...]"; all else in it, and any other response, stays as it is.
func AppendFilteredCapabilities(dst, line []byte) (out []byte, offered bool) {
	start, end := capabilityList(line)
	dst = slices.Grow(dst, len(line))
	dst = append(dst, line[:start]...)
	for list := line[start:end]; len(list) > 0; {
		at := blanks(list)
		name, _, _ := bytes.Cut(list[at:], []byte(" "))
		next := at + len(name)
		switch {
		case hiddenCapability(name):
			offered = true
		case equalFold(name, "STARTTLS"):
		default:
			dst = append(dst, list[:next]...)
		}
		list = list[next:]
	}
	return append(dst, line[end:]...), offered
}

// hiddenCapability says whether the relay must hide a name, because the extension would change the stream so that the
// relay could not read it.
func hiddenCapability[T string | []byte](name T) bool {
	const compress = "COMPRESS="
	return equalFold(name, "UNAUTHENTICATE") || len(name) >= len(compress) && equalFold(name[:len(compress)], compress)
}

// capabilityList returns the names after the word CAPABILITY: up to the line's end, or to the bracket that closes the
// code.
func capabilityList(line []byte) (start, end int) {
	h, ok := readHead(line)
	if ok != yes || h.list == 0 {
		return 0, 0
	}
	stops := "\r\n"
	if h.status != StatusNone {
		stops = "]\r\n"
	}
	length := bytes.IndexAny(line[h.list:], stops)
	if length < 0 {
		length = len(line) - h.list
	}
	return h.list, h.list + length
}

// Capabilities is a server's capability list, its names in upper case.
type Capabilities []string

// ParseCapabilities reads the names of a list, the word CAPABILITY not among them.
func ParseCapabilities(text string) Capabilities {
	return strings.Fields(strings.ToUpper(text))
}

// Has says whether name, in upper case, is in the list.
func (c Capabilities) Has(name string) bool { return slices.Contains(c, name) }

// Mechanisms returns the SASL mechanisms of the list, in its order.
func (c Capabilities) Mechanisms() []string {
	var names []string
	for _, name := range c {
		if mechanism, ok := strings.CutPrefix(name, "AUTH="); ok {
			names = append(names, mechanism)
		}
	}
	return names
}

// Hidden says whether the list has COMPRESS or UNAUTHENTICATE, which the relay hides.
func (c Capabilities) Hidden() bool { return slices.ContainsFunc(c, hiddenCapability[string]) }
