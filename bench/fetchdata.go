package bench

import (
	"bytes"
	"hash/crc32"
	"math/bits"
)

// fetched is the content of an untagged FETCH.
type fetched struct {
	seq      uint64
	uid      uint64 // 0 if it is missing
	size     uint64 // RFC822.SIZE
	hasSize  bool
	flags    []byte // between the parentheses
	hasFlags bool
	body     literal // of BODY[...]
	hasBody  bool
	envelope bool
}

// attributes is a set of what a FETCH asks for.
type attributes uint8

const (
	attrUID attributes = 1 << iota
	attrSize
	attrFlags
	attrBody
	attrEnvelope
)

// attributeNames are in the order of the bits.
var attributeNames = [...]string{"UID", "RFC822.SIZE", "FLAGS", "a body", "ENVELOPE"}

// String names the first of the attributes.
func (a attributes) String() string {
	if a == 0 {
		return "nothing"
	}
	return attributeNames[bits.TrailingZeros8(uint8(a))]
}

// attributes returns which attributes came.
func (f *fetched) attributes() (has attributes) {
	for i, came := range [...]bool{f.uid != 0, f.hasSize, f.hasFlags, f.hasBody, f.envelope} {
		if came {
			has |= 1 << i
		}
	}
	return has
}

// parseFetch parses an untagged FETCH. It skips items that no profile asks for.
func parseFetch(r *response) (fetched, error) {
	f := fetched{seq: r.num}
	c := cursor{rest: r.args, literals: r.literals}
	if !r.hasNum || !c.take('(') {
		return f, protocolError("not a FETCH: %s", r.quote(r.args))
	}
	for {
		name := c.item()
		if len(name) == 0 || !c.take(' ') || !f.value(name, &c) {
			return f, protocolError("a FETCH that cannot be read: %s", r.quote(r.args))
		}
		if c.take(')') {
			break
		}
		if !c.take(' ') {
			return f, protocolError("a FETCH that cannot be read: %s", r.quote(r.args))
		}
	}
	if len(c.rest) > 0 {
		return f, protocolError("a FETCH with more behind its end: %s", r.quote(c.rest))
	}
	return f, nil
}

func (f *fetched) value(name []byte, c *cursor) (ok bool) {
	switch {
	case bytes.EqualFold(name, []byte("UID")):
		f.uid, ok = c.number()
		return ok && f.uid > 0 && f.uid <= maxNumber
	case bytes.EqualFold(name, []byte("RFC822.SIZE")):
		f.size, ok = c.number()
		f.hasSize = true
		return ok
	case bytes.EqualFold(name, []byte("FLAGS")):
		f.flags, ok = c.list()
		f.hasFlags = true
		return ok
	case bytes.EqualFold(name, []byte("ENVELOPE")):
		f.envelope = c.envelope()
		return f.envelope
	case len(name) > 5 && bytes.EqualFold(name[:5], []byte("BODY[")):
		f.body, ok = c.text()
		f.hasBody = ok
		return ok
	}
	return c.skip()
}

// hasFlag reports whether a flag is among those of f.
func (f *fetched) hasFlag(flag string) bool {
	for word := range bytes.FieldsSeq(f.flags) {
		if bytes.EqualFold(word, []byte(flag)) {
			return true
		}
	}
	return false
}

// envelope reads an ENVELOPE: ten values, of which six are lists of addresses.
func (c *cursor) envelope() bool {
	for i := range 10 {
		if i == 0 && !c.take('(') || i > 0 && !c.take(' ') || len(c.rest) == 0 {
			return false
		}
		isString, isList := c.rest[0] == '"' || c.rest[0] == '{', c.rest[0] == '('
		if i >= 2 && i <= 7 { // addresses
			isString, isList = isList, isString
		}
		if !isString && !c.isNil() || isList || !c.skip() {
			return false
		}
	}
	return c.take(')')
}

// isNil reports whether NIL follows.
func (c *cursor) isNil() bool {
	const text = "NIL"
	return len(c.rest) > len(text) && bytes.EqualFold(c.rest[:len(text)], []byte(text)) &&
		(c.rest[len(text)] == ' ' || c.rest[len(text)] == ')')
}

// cursor reads a response's text from left to right.
type cursor struct {
	rest     []byte
	literals []literal // those that are announced in rest
}

func (c *cursor) take(b byte) bool {
	if len(c.rest) == 0 || c.rest[0] != b {
		return false
	}
	c.rest = c.rest[1:]
	return true
}

// item reads the name of a FETCH item, which may contain spaces between brackets.
func (c *cursor) item() []byte {
	depth := 0
	for i, b := range c.rest {
		switch {
		case b == '[':
			depth++
		case b == ']':
			depth--
		case depth == 0 && (b == ' ' || b == '(' || b == ')'):
			name := c.rest[:i]
			c.rest = c.rest[i:]
			return name
		}
	}
	return nil
}

// atom reads up to a space or a parenthesis.
func (c *cursor) atom() []byte {
	end := bytes.IndexAny(c.rest, " ()")
	if end < 0 {
		end = len(c.rest)
	}
	word := c.rest[:end]
	c.rest = c.rest[end:]
	return word
}

func (c *cursor) number() (uint64, bool) { return number(c.atom()) }

// list returns what is between parentheses that hold no strings and no further parentheses.
func (c *cursor) list() ([]byte, bool) {
	end := bytes.IndexByte(c.rest, ')')
	if end < 0 || c.rest[0] != '(' {
		return nil, false
	}
	inside := c.rest[1:end]
	c.rest = c.rest[end+1:]
	return inside, true
}

// text reads a string, or NIL as an empty one.
func (c *cursor) text() (literal, bool) {
	if len(c.rest) == 0 {
		return literal{}, false
	}
	switch c.rest[0] {
	case '"':
		return c.quoted()
	case '{', '~':
		return c.literal()
	}
	return literal{}, bytes.EqualFold(c.atom(), []byte("NIL"))
}

func (c *cursor) quoted() (literal, bool) {
	var text []byte
	for i := 1; i < len(c.rest); i++ {
		switch c.rest[i] {
		case '"':
			c.rest = c.rest[i+1:]
			return literal{uint64(len(text)), crc32.Checksum(text, castagnoli)}, true
		case '\\':
			if i++; i == len(c.rest) {
				return literal{}, false
			}
		}
		text = append(text, c.rest[i])
	}
	return literal{}, false
}

// skipQuoted passes a quoted string.
func (c *cursor) skipQuoted() bool {
	for i := 1; i < len(c.rest); i++ {
		switch c.rest[i] {
		case '"':
			c.rest = c.rest[i+1:]
			return true
		case '\\':
			i++
		}
	}
	return false
}

func (c *cursor) literal() (literal, bool) {
	end := bytes.IndexByte(c.rest, '}')
	if end < 0 || len(c.literals) == 0 {
		return literal{}, false
	}
	l := c.literals[0]
	c.rest, c.literals = c.rest[end+1:], c.literals[1:]
	return l, true
}

// skip passes one value of any kind.
func (c *cursor) skip() bool {
	for depth := 0; len(c.rest) > 0; {
		switch b := c.rest[0]; b {
		case '(':
			depth++
			c.rest = c.rest[1:]
		case ')':
			depth--
			c.rest = c.rest[1:]
		case ' ':
			if depth == 0 {
				return false
			}
			c.rest = c.rest[1:]
		default:
			if !c.skipOne(b) {
				return false
			}
		}
		if depth <= 0 {
			return depth == 0
		}
	}
	return false
}

func (c *cursor) skipOne(first byte) (ok bool) {
	switch first {
	case '"':
		return c.skipQuoted()
	case '{', '~':
		_, ok = c.literal()
		return ok
	}
	return len(c.atom()) > 0
}
