package wire

import (
	"bytes"
	"slices"
	"strings"
)

// hiddenCapability tells the names taken out of every list that reaches a client: what the proxy answers itself after sign-in.
func hiddenCapability(name []byte) bool {
	const compress = "COMPRESS="
	return bytes.EqualFold(name, []byte("STARTTLS")) ||
		bytes.EqualFold(name, []byte("UNAUTHENTICATE")) ||
		len(name) >= len(compress) && bytes.EqualFold(name[:len(compress)], []byte(compress))
}

// AppendFilteredCapabilities appends a whole line that holds a capability list, without the hidden names: COMPRESS=*,
// UNAUTHENTICATE and STARTTLS. offered says whether COMPRESS or UNAUTHENTICATE was among them. The line is a response
// "* CAPABILITY ..." or one with the code "[CAPABILITY ...]"; all else in it stays as it is.
func AppendFilteredCapabilities(dst, line []byte) (out []byte, offered bool) {
	start, end := capabilityList(line)
	dst = append(dst, line[:start]...)
	list := line[start:end]
	for len(list) > 0 {
		n := blanks(list)
		word := list[n:]
		if i := bytes.IndexByte(word, ' '); i >= 0 {
			word = word[:i]
		}
		n += len(word)
		if hiddenCapability(word) {
			offered = offered || upperCase(word[0]) != 'S'
		} else {
			dst = append(dst, list[:n]...)
		}
		list = list[n:]
	}
	return append(dst, line[end:]...), offered
}

// capabilityList finds the names behind the word CAPABILITY: up to the line's end, or to the bracket that closes the code.
func capabilityList(line []byte) (start, end int) {
	end = len(line)
	for end > 0 && isLineEnd(line[end-1]) {
		end--
	}
	start = indexFold(line[:end], capabilityWord)
	if start < 0 {
		return end, end
	}
	coded := bytes.IndexByte(line[:start], '[') >= 0
	start += len(capabilityWord)
	if coded {
		if i := bytes.IndexByte(line[start:end], ']'); i >= 0 {
			end = start + i
		}
	}
	return start, end
}

// indexFold is bytes.Index for an upper-case ASCII word in text of any case.
func indexFold(p, word []byte) int {
	for i := 0; i+len(word) <= len(p); i++ {
		if bytes.EqualFold(p[i:i+len(word)], word) {
			return i
		}
	}
	return -1
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

// Hidden says whether the list has COMPRESS or UNAUTHENTICATE, which the relay must keep from working.
func (c Capabilities) Hidden() bool {
	return slices.ContainsFunc(c, func(name string) bool {
		return name == "UNAUTHENTICATE" || strings.HasPrefix(name, "COMPRESS=")
	})
}
