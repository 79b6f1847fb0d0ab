package bench

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// folder is a mailbox that a session has created, and its expected content. Nobody else changes it.
type folder struct {
	name     string
	made     bool       // or under way: no answer came yet
	number   int        // of the last message
	messages []*message // by sequence number, from 1
	coming   int        // being appended
}

// most returns how many messages the folder has at most.
func (f *folder) most() uint64 { return uint64(len(f.messages) + f.coming) }

// strict reports whether answers are compared with the expected content.
func (s *session) strict() bool { return s.engine.options.Verify == VerifyAll }

// create creates the folder, empty. After a connection broke, its content is unknown, so it is created again.
func (f *folder) create(s *session, c *clientConn) error {
	if f.made {
		err := c.command(rowDelete, f.name, time.Time{}, nil)
		if err != nil && !isKind(err, KindRefused) {
			return err
		}
	}
	f.messages, f.coming, f.made = nil, 0, true
	return c.command(rowCreate, f.name, time.Time{}, nil)
}

// remove deletes the folder. Some servers end a session whose selected mailbox is deleted, so the session closes it.
func (f *folder) remove(c *clientConn) error {
	if !f.made {
		return nil
	}
	f.made = false
	if c.mailbox.own == f {
		if err := c.command(rowClose, "", time.Time{}, nil); err != nil {
			return err
		}
		c.mailbox = mailbox{}
	}
	return c.removeMailbox(f.name)
}

// newMessage generates a message.
func (f *folder) newMessage(s *session, size int) *message {
	f.number++
	f.coming++
	return s.engine.text.newMessage(s.engine.options.RunID+"."+f.name, s.number, f.number, size)
}

// add appends a new message.
func (f *folder) add(s *session, c *clientConn, size int, from time.Time) (*message, error) {
	m := f.newMessage(s, size)
	err := c.appendMail(s.engine.text, f.name, m, from, func(r *response) { m.takeUID(r) })
	if err != nil {
		return nil, err
	}
	f.arrived(s, m)
	return m, nil
}

// arrived adds a message that was appended.
func (f *folder) arrived(s *session, m *message) {
	f.coming--
	f.messages = append(f.messages, m)
	if !s.strict() && m.uid == 0 {
		m.uid = uint64(len(f.messages)) // as good as any
	}
}

// takeUID reads the UID from the answer to APPEND (RFC 4315).
func (m *message) takeUID(r *response) {
	rest, ok := r.codeIs("APPENDUID")
	if !ok || r.kind != tagged {
		return
	}
	_, uid, _ := bytes.Cut(rest, []byte{' '})
	m.uid, _ = number(uid)
}

// selectFolder selects the folder and checks the number of messages.
func (f *folder) selectFolder(s *session, c *clientConn) error {
	if err := c.choose(rowSelect, f.name, mailbox{own: f}, time.Time{}); err != nil {
		return err
	}
	if c.mailbox.known {
		f.count(s, c, rowSelect)
	}
	return nil
}

// count compares the number of messages.
func (f *folder) count(s *session, c *clientConn, r row) {
	if want := uint64(len(f.messages)); s.strict() && c.mailbox.exists != want {
		s.wrong(KindCount, r, "%d messages in %s, want %d", c.mailbox.exists, f.name, want)
	}
}

// list fetches everything but bodies. It records UIDs that are not known yet.
func (f *folder) list(s *session, c *clientConn) error {
	if len(f.messages) == 0 {
		return nil
	}
	came := s.expect(attrUID|attrFlags|attrSize, len(f.messages))
	err := c.command(rowFetch, "1:* (UID FLAGS RFC822.SIZE)", time.Time{}, func(r *response) {
		if r.is("FETCH") {
			came.add(r.fetched.seq, &r.fetched)
		}
	})
	if err == nil && s.strict() {
		came.check(s, rowFetch, f.name)
	}
	return err
}

// compare compares data of a message with its expected content. Whether all data came is for others to check.
func (f *folder) compare(c *clientConn, r row, got *fetched) {
	if got.seq > uint64(len(f.messages)) { // it is being appended
		return
	}
	m := f.messages[got.seq-1]
	switch {
	case got.uid == 0:
	case m.uid == 0 && f.ascends(got.seq, got.uid):
		m.uid = got.uid
	case m.uid != got.uid:
		c.wrong(KindUID, r, "message %d of %s has UID %d, want %s", got.seq, f.name, got.uid, m.wantUID())
	}
	if got.hasSize && got.size != uint64(m.size) {
		c.wrong(KindLiteral, r, "message %d of %s has %d bytes, want %d", got.seq, f.name, got.size, m.size)
	}
	if got.hasFlags {
		m.compareFlags(c, r, got)
	}
}

// ascends reports whether a message may have a UID: UIDs ascend with the message numbers.
func (f *folder) ascends(seq, uid uint64) bool {
	for _, m := range f.messages[:seq-1] {
		if m.uid >= uid {
			return false
		}
	}
	for _, m := range f.messages[seq:] {
		if m.uid != 0 && m.uid <= uid {
			return false
		}
	}
	return true
}

func (m *message) wantUID() string {
	if m.uid == 0 {
		return "an ascending one"
	}
	return strconv.FormatUint(m.uid, 10)
}

// lose removes a message that the server has expunged.
func (f *folder) lose(c *clientConn, r row, seq uint64) {
	if seq > uint64(len(f.messages)) {
		return
	}
	if m := f.messages[seq-1]; !slices.Contains(m.flags, `\Deleted`) {
		c.wrong(KindUID, r, "message %d of %s is expunged, with UID %d, and was not marked as deleted", seq, f.name,
			m.uid)
	}
	if seq == 1 {
		f.messages = f.messages[1:]
	} else {
		f.messages = slices.Delete(f.messages, int(seq)-1, int(seq))
	}
}

// systemFlags are those that only users set.
var systemFlags = []string{`\Seen`, `\Deleted`, `\Flagged`, `\Answered`, `\Draft`}

// compareFlags checks that the flags are those that were set.
func (m *message) compareFlags(c *clientConn, r row, got *fetched) {
	for _, flag := range m.flags {
		if !got.hasFlag(flag) {
			c.wrong(KindFlags, r, "message with UID %d has (%s), want %s", m.uid,
				shown(string(got.flags), c.credential), flag)
		}
	}
	for _, flag := range systemFlags {
		if got.hasFlag(flag) && !slices.Contains(m.flags, flag) {
			c.wrong(KindFlags, r, "message with UID %d has (%s), and nobody set %s", m.uid,
				shown(string(got.flags), c.credential), flag)
		}
	}
}

// bodyArgs are the arguments of a FETCH of whole messages.
func bodyArgs(uid uint64) string { return fmt.Sprintf("%d (UID BODY.PEEK[])", uid) }

// fetchBodies fetches whole messages, at most depth at a time, and compares each.
func (s *session) fetchBodies(c *clientConn, messages []*message, depth int, from time.Time) error {
	for group := range slices.Chunk(messages, depth) {
		for _, m := range group {
			c.begin(rowFetchBody, bodyArgs(m.uid), from)
			from = time.Time{}
		}
		wanted := slices.Clone(group)
		err := c.wait(rowFetchBody, func(r *response) {
			if r.is("FETCH") && s.strict() {
				wanted = s.compareBody(wanted, &r.fetched)
			}
		})
		if err != nil {
			return err
		}
		for _, m := range wanted {
			if s.strict() {
				s.wrong(KindMissing, rowFetchBody, "the message with UID %d did not come", m.uid)
			}
		}
	}
	return nil
}

// compareBody checks one body and returns the messages that are still expected.
func (s *session) compareBody(wanted []*message, got *fetched) []*message {
	if !got.hasBody {
		return wanted // news of flags
	}
	i := slices.IndexFunc(wanted, func(m *message) bool { return m.uid == got.uid })
	if i < 0 {
		s.wrong(KindUID, rowFetchBody, "a body with UID %d, which was not asked for", got.uid)
		return wanted
	}
	m := wanted[i]
	if got.body.size != uint64(m.size) {
		s.wrong(KindLiteral, rowFetchBody, "the body with UID %d has %d bytes, want %d", got.uid,
			got.body.size, m.size)
	} else if got.body.sum != m.sum {
		s.wrong(KindChecksum, rowFetchBody, "the body with UID %d has checksum %08x, want %08x", got.uid,
			got.body.sum, m.sum)
	}
	return slices.Delete(wanted, i, i+1)
}

// store sets a flag on a message, and wants to see it.
func (f *folder) store(s *session, c *clientConn, m *message, flag string) error {
	m.flags = append(m.flags, flag)
	seen := false
	err := c.command(rowStore, fmt.Sprintf("%d +FLAGS (%s)", m.uid, flag), time.Time{}, func(r *response) {
		if r.is("FETCH") && r.fetched.uid == m.uid {
			seen = seen || r.fetched.hasFlag(flag)
		}
	})
	if err == nil && !seen && s.strict() {
		s.wrong(KindMissing, rowStore, "nothing of the new flags of UID %d", m.uid)
	}
	return err
}

// expunge removes the oldest messages.
func (f *folder) expunge(s *session, c *clientConn, oldest int) error {
	if oldest == 0 {
		return nil
	}
	kept := slices.Clone(f.messages[oldest:])
	for _, m := range f.messages[:oldest] {
		m.flags = append(m.flags, `\Deleted`)
	}
	uids := fmt.Sprintf("%d:%d", f.messages[0].uid, f.messages[oldest-1].uid)
	if err := c.command(rowStore, uids+` +FLAGS.SILENT (\Deleted)`, time.Time{}, nil); err != nil {
		return err
	}
	err := c.command(rowExpunge, "", time.Time{}, nil)
	f.messages = kept
	if err == nil {
		f.count(s, c, rowExpunge)
	}
	return err
}

// answered sends a command whose answer must have untagged data of a kind.
func (s *session) answered(c *clientConn, r row, args string, from time.Time, want data) error {
	came := false
	err := c.command(r, args, from, func(resp *response) { came = came || resp.kind == untagged && resp.data == want })
	if err == nil && !came && s.strict() {
		s.wrong(KindMissing, r, "OK, and no data")
	}
	return err
}

// statusNumber asks for one number about a mailbox.
func (s *session) statusNumber(c *clientConn, mailbox, item string) (value uint64, err error) {
	found := false
	err = c.command(rowStatus, mailbox+" ("+item+")", time.Time{}, func(r *response) {
		if r.is("STATUS") && isAbout(r, mailbox) {
			value, found = statusItem(r.args, item)
		}
	})
	if err == nil && !found && s.strict() {
		s.wrong(KindMissing, rowStatus, "nothing of %s in %s", item, mailbox)
	}
	return value, err
}

// isAbout reports whether a STATUS is about the mailbox. A name that came as a literal is not stored, so it may be any.
func isAbout(r *response, mailbox string) bool {
	c := cursor{rest: r.args, literals: r.literals}
	if !c.mailbox() || len(r.literals) > 0 {
		return len(r.literals) > 0
	}
	name := strings.Trim(string(r.args[:len(r.args)-len(c.rest)]), `"`)
	return name == mailbox || mailbox == "INBOX" && strings.EqualFold(name, mailbox)
}

// statusItem reads a number from an untagged STATUS' last parentheses.
func statusItem(args []byte, item string) (uint64, bool) {
	open, end := bytes.LastIndexByte(args, '('), bytes.LastIndexByte(args, ')')
	if open < 0 || end < open {
		return 0, false
	}
	words := bytes.Fields(args[open+1 : end])
	for i := 0; i+1 < len(words); i += 2 {
		if bytes.EqualFold(words[i], []byte(item)) {
			return number(words[i+1])
		}
	}
	return 0, false
}

func isKind(err error, kind Kind) bool {
	f, ok := err.(*failure)
	return ok && f.kind == kind
}
