package backendtest

import (
	"bytes"
	"strconv"
)

const (
	sinkCaps     = "IMAP4rev1 SASL-IR LITERAL+ AUTH=PLAIN IDLE UIDPLUS MOVE NAMESPACE ID"
	sinkGreeting = "* OK [CAPABILITY " + sinkCaps + "] sink ready\r\n"

	sinkMessageSize = 1 << 10 // of mailboxes that name no size
	sinkMaxMessage  = 1 << 30
	sinkInlineBody  = 16 << 10 // smaller bodies are copied, larger ones written from where they are
	sinkMaxTag      = 64
)

// sinkPhase is what the next bytes of a client are.
type sinkPhase uint8

const (
	sinkCommand   sinkPhase = iota // a command line
	sinkRest                       // the rest of a command line, behind a literal
	sinkLiteral                    // a literal's bytes
	sinkSASL                       // the answer to an empty challenge
	sinkIdle                       // DONE
	sinkFetch                      // nothing: the answer to a fetch is not complete
	sinkFetchBody                  // nothing: a body was sent, what follows it is due
)

// sinkDialogue is one connection's state, apart from its bytes: what was read goes
// in, what to write comes out. The zero value stands behind the greeting.
type sinkDialogue struct {
	phase   sinkPhase
	verb    sinkVerb
	tagLen  uint8
	tag     [sinkMaxTag]byte
	size    int    // of messages, 0 for the default
	skip    uint64 // bytes of a literal still to come
	next    uint32 // message of the fetch that is next
	last    uint32
	section [32]byte
	secLen  uint8
}

// sinkVerb is a verb that gets more than OK.
type sinkVerb uint8

const (
	verbOther sinkVerb = iota
	verbLogin
	verbAuthenticate
	verbCapability
	verbSelect
	verbExamine
	verbFetch
	verbIdle
	verbLogout
	verbList
	verbID
)

// run takes as much of in as it can and appends the answers to out. It returns before
// all is taken if out is long or if a body is due: then write out and body bytes of
// filler, and call again with the rest. A rest with nothing to write is the beginning
// of a line.
func (d *sinkDialogue) run(in, out []byte) (rest, answers []byte, body int, err error) {
	for len(out) < sinkOutput {
		switch d.phase {
		case sinkFetch, sinkFetchBody:
			if out, body = d.fetch(out); body > 0 {
				return in, out, body, nil
			}
			continue
		case sinkLiteral:
			n := min(d.skip, uint64(len(in)))
			in, d.skip = in[n:], d.skip-n
			if d.skip > 0 {
				return in, out, 0, nil
			}
			d.phase = sinkRest
			continue
		}
		end := bytes.IndexByte(in, '\n')
		if end < 0 {
			break
		}
		line := bytes.TrimSuffix(in[:end], []byte{'\r'})
		in = in[end+1:]
		if out, err = d.line(line, out); err != nil {
			return in, out, 0, err
		}
	}
	return in, out, 0, nil
}

// line takes one line.
func (d *sinkDialogue) line(line, out []byte) ([]byte, error) {
	switch d.phase {
	case sinkSASL:
		if len(line) == 1 && line[0] == '*' {
			d.phase = sinkCommand
			return append(append(out, d.tag[:d.tagLen]...), " BAD cancelled\r\n"...), nil
		}
		return d.ok(out), nil
	case sinkIdle:
		return d.ok(out), nil // whatever it says
	case sinkCommand:
		if !d.command(line) {
			return append(out, "* BAD no command\r\n"...), nil
		}
	}
	if n, sync, ok := sinkMarker(line); ok {
		d.phase, d.skip = sinkLiteral, n
		if sync {
			out = append(out, "+ go\r\n"...)
		}
		return out, nil
	}
	return d.answer(out)
}

// command reads tag, verb and what matters of the arguments.
func (d *sinkDialogue) command(line []byte) bool {
	tag, rest, found := bytes.Cut(line, []byte{' '})
	if !found || len(tag) == 0 || len(tag) > sinkMaxTag {
		return false
	}
	d.tagLen = uint8(copy(d.tag[:], tag))
	verb, args, _ := bytes.Cut(rest, []byte{' '})
	if len(verb) == 3 && bytes.EqualFold(verb, []byte("UID")) {
		verb, args, _ = bytes.Cut(args, []byte{' '})
	}
	d.verb = verbOf(verb)
	switch d.verb {
	case verbSelect, verbExamine:
		d.size = sizeOf(args)
	case verbFetch:
		d.parseFetch(args)
	case verbAuthenticate:
		if bytes.IndexByte(args, ' ') < 0 {
			d.phase = sinkSASL // no initial response
		}
	}
	return true
}

// verbOf compares only with verbs of the same length.
func verbOf(verb []byte) sinkVerb {
	is := func(name string, v sinkVerb) sinkVerb {
		if bytes.EqualFold(verb, []byte(name)) {
			return v
		}
		return verbOther
	}
	switch len(verb) {
	case 2:
		return is("ID", verbID)
	case 4:
		return max(is("IDLE", verbIdle), is("LIST", verbList))
	case 5:
		return max(is("FETCH", verbFetch), is("LOGIN", verbLogin))
	case 6:
		return max(is("SELECT", verbSelect), is("LOGOUT", verbLogout))
	case 7:
		return is("EXAMINE", verbExamine)
	case 10:
		return is("CAPABILITY", verbCapability)
	case 12:
		return is("AUTHENTICATE", verbAuthenticate)
	}
	return verbOther
}

// answer answers a command whose last byte is there.
func (d *sinkDialogue) answer(out []byte) ([]byte, error) {
	switch d.verb {
	case verbLogin:
	case verbAuthenticate:
		if d.phase == sinkSASL {
			return append(out, "+ \r\n"...), nil
		}
	case verbCapability:
		out = append(out, "* CAPABILITY "+sinkCaps+"\r\n"...)
	case verbSelect, verbExamine:
		out = append(out, "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"+
			"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] kept\r\n"+
			"* 1000 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY 1] valid\r\n* OK [UIDNEXT 1001] next\r\n"...)
	case verbFetch:
		d.phase = sinkFetch
		return out, nil
	case verbIdle:
		d.phase = sinkIdle
		return append(out, "+ idling\r\n"...), nil
	case verbList:
		out = append(out, "* LIST (\\HasNoChildren) \"/\" INBOX\r\n"...)
	case verbID:
		out = append(out, "* ID (\"name\" \"sink\")\r\n"...)
	case verbLogout:
		return d.ok(append(out, "* BYE\r\n"...)), errSinkHangUp
	}
	return d.ok(out), nil
}

// ok ends a command.
func (d *sinkDialogue) ok(out []byte) []byte {
	d.phase = sinkCommand
	out = append(out, d.tag[:d.tagLen]...)
	switch d.verb {
	case verbLogin, verbAuthenticate:
		return append(out, " OK [CAPABILITY "+sinkCaps+"] signed in\r\n"...)
	case verbSelect:
		return append(out, " OK [READ-WRITE] done\r\n"...)
	case verbExamine:
		return append(out, " OK [READ-ONLY] done\r\n"...)
	}
	return append(out, " OK done\r\n"...)
}

// parseFetch reads the first number or range, and the first section.
func (d *sinkDialogue) parseFetch(args []byte) {
	set, items, _ := bytes.Cut(args, []byte{' '})
	var n int
	d.next, n = number(set)
	d.last = d.next
	if n < len(set) && set[n] == ':' {
		if last, digits := number(set[n+1:]); digits > 0 {
			d.last = last
		}
	}
	d.secLen = 0
	if open := bytes.IndexByte(items, '['); open >= 0 {
		if end := bytes.IndexByte(items[open:], ']'); end >= 0 && end < len(d.section) {
			d.secLen = uint8(copy(d.section[:], items[open:open+end+1]))
		}
	}
}

// fetch appends answers until the fetch is complete, out is long, or a body is due.
func (d *sinkDialogue) fetch(out []byte) (answers []byte, body int) {
	if d.phase == sinkFetchBody {
		out = append(out, ")\r\n"...)
		d.phase = sinkFetch
		d.next++
	}
	for d.next <= d.last && d.next != 0 {
		if len(out) >= sinkOutput {
			return out, 0
		}
		out = append(out, "* "...)
		out = strconv.AppendUint(out, uint64(d.next), 10)
		out = append(out, " FETCH (UID "...)
		out = strconv.AppendUint(out, uint64(d.next), 10)
		if d.secLen == 0 {
			out = append(out, " FLAGS (\\Seen))\r\n"...)
			d.next++
			continue
		}
		size := d.size
		if size == 0 {
			size = sinkMessageSize
		}
		out = append(out, " BODY"...)
		out = append(out, d.section[:d.secLen]...)
		out = append(out, " {"...)
		out = strconv.AppendUint(out, uint64(size), 10)
		out = append(out, "}\r\n"...)
		if size > sinkInlineBody {
			d.phase = sinkFetchBody
			return out, size
		}
		for size > 0 {
			n := min(size, len(fillerLine))
			out = append(out, fillerLine[:n]...)
			size -= n
		}
		out = append(out, ")\r\n"...)
		d.next++
	}
	return d.ok(out), 0
}

// sizeOf reads n of a mailbox called SIZEn, quoted or not.
func sizeOf(mailbox []byte) int {
	mailbox = bytes.Trim(mailbox, `"`)
	if len(mailbox) < 4 || !bytes.EqualFold(mailbox[:4], []byte("SIZE")) {
		return 0
	}
	n, _ := number(mailbox[4:])
	return int(min(n, sinkMaxMessage))
}

// number reads leading digits, at most nine of them.
func number(b []byte) (value uint32, digits int) {
	for digits < len(b) && digits < 9+1 && b[digits] >= '0' && b[digits] <= '9' {
		if digits == 9 {
			return 0, 0
		}
		value = value*10 + uint32(b[digits]-'0')
		digits++
	}
	return value, digits
}

// sinkMarker reads a literal's announcement at the end of a line.
func sinkMarker(line []byte) (n uint64, sync, ok bool) {
	if len(line) == 0 || line[len(line)-1] != '}' {
		return 0, false, false
	}
	open := bytes.LastIndexByte(line, '{')
	if open < 0 {
		return 0, false, false
	}
	digits := line[open+1 : len(line)-1]
	sync = true
	if len(digits) > 0 && digits[len(digits)-1] == '+' {
		digits, sync = digits[:len(digits)-1], false
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false, false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false, false
		}
		n = n*10 + uint64(c-'0')
	}
	return n, sync, true
}
