package bench

import "bytes"

// data is a kind of untagged data whose form is checked.
type data uint8

const (
	dataOther data = iota // its form is not checked
	dataExists
	dataRecent
	dataExpunge
	dataFetch
	dataFlags
	dataList
	dataSearch
	dataStatus
	dataCapability
)

// dataNames are sorted by length, so that a name is compared with few others.
var dataNames = []struct {
	name string
	data data
}{
	{"LIST", dataList}, {"LSUB", dataList}, {"SORT", dataSearch},
	{"FETCH", dataFetch}, {"FLAGS", dataFlags},
	{"EXISTS", dataExists}, {"RECENT", dataRecent}, {"STATUS", dataStatus}, {"SEARCH", dataSearch},
	{"EXPUNGE", dataExpunge}, {"CAPABILITY", dataCapability},
}

func dataOf(name []byte) data {
	for i := range dataNames {
		if n := &dataNames[i]; len(n.name) == len(name) && bytes.EqualFold([]byte(n.name), name) {
			return n.data
		}
	}
	return dataOther
}

// maxNumber is the greatest number of IMAP (RFC 9051, section 9).
const maxNumber = 1<<32 - 1

// checkForm refuses untagged data that a strict client cannot read, and reads that of a FETCH. Spaces at the end of a
// line are accepted: some servers send them.
func (r *response) checkForm() error {
	if r.status != statusNone {
		return nil
	}
	r.data = dataOf(r.name)
	numbered := r.data == dataExists || r.data == dataRecent || r.data == dataExpunge || r.data == dataFetch
	if r.data != dataOther && (numbered != r.hasNum || r.num > maxNumber) {
		return r.unreadable()
	}
	if r.data == dataFetch {
		var err error
		r.fetched, err = parseFetch(r)
		return err
	}
	c := cursor{rest: bytes.TrimRight(r.args, " "), literals: r.literals}
	ok := true
	switch r.data {
	case dataExists, dataRecent, dataExpunge:
		ok = true
	case dataFlags:
		_, ok = c.list()
	case dataList:
		ok = c.listed()
	case dataSearch:
		ok = c.numbers()
	case dataStatus:
		ok = c.mailbox() && c.take(' ') && c.pairs()
	case dataCapability:
		ok = len(c.rest) > 0
		c.rest = nil
	default:
		c.rest = nil
	}
	if !ok || len(c.rest) > 0 {
		return r.unreadable()
	}
	return nil
}

func (r *response) unreadable() error {
	name := append(append(bytes.Clone(r.name), ' '), r.args...)
	return protocolError("data that cannot be read: %s", r.quote(name))
}

// listed reads the flags, the delimiter and the name of LIST, and skips what extensions add.
func (c *cursor) listed() bool {
	if _, ok := c.list(); !ok || !c.take(' ') {
		return false
	}
	if _, ok := c.text(); !ok || !c.take(' ') || !c.mailbox() {
		return false
	}
	return len(c.rest) == 0 || c.take(' ') && c.rest[0] == '(' && c.skip()
}

// mailbox reads the name of a mailbox: an atom or a string.
func (c *cursor) mailbox() bool {
	if len(c.rest) == 0 {
		return false
	}
	switch c.rest[0] {
	case '"':
		return c.skipQuoted()
	case '{', '~':
		_, ok := c.literal()
		return ok
	}
	return len(c.atom()) > 0
}

// numbers reads what follows SEARCH: message numbers, and what extensions add in parentheses.
func (c *cursor) numbers() bool {
	for len(c.rest) > 0 && c.rest[0] != '(' {
		if n, ok := c.number(); !ok || n == 0 || n > maxNumber {
			return false
		}
		if len(c.rest) > 0 && !c.take(' ') {
			return false
		}
	}
	return len(c.rest) == 0 || c.skip()
}

// pairs reads a list of names with their values.
func (c *cursor) pairs() bool {
	if !c.take('(') {
		return false
	}
	for !c.take(')') {
		if len(c.atom()) == 0 || !c.take(' ') || !c.skip() {
			return false
		}
		c.take(' ')
	}
	return true
}
