package bench

import (
	"bytes"
	"fmt"
	"slices"
	"time"
)

// folder is a mailbox that a session has created, and its expected content. Nobody else changes it.
type folder struct {
	name     string
	made     bool       // or under way: no answer came yet
	number   int        // of the last message
	messages []*message // by sequence number, from 1
}

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
	f.messages, f.made = nil, true
	return c.command(rowCreate, f.name, time.Time{}, nil)
}

// remove deletes the folder, which may be the selected one.
func (f *folder) remove(c *clientConn) error {
	if !f.made {
		return nil
	}
	f.made = false
	return c.removeMailbox(f.name)
}

// newMessage generates a message.
func (f *folder) newMessage(s *session, size int) *message {
	f.number++
	return s.engine.text.newMessage(s.engine.options.RunID+"."+f.name, s.number, f.number, size)
}

// add appends a new message.
func (f *folder) add(s *session, c *clientConn, size int, from time.Time) (*message, error) {
	m := f.newMessage(s, size)
	err := c.appendMail(s.engine.text, f.name, m, from, func(r *response) { m.takeUID(r) })
	if err != nil {
		return nil, err
	}
	f.messages = append(f.messages, m)
	if !s.strict() && m.uid == 0 {
		m.uid = uint64(len(f.messages)) // as good as any
	}
	return m, nil
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
	c.exists = 0
	if err := c.command(rowSelect, f.name, time.Time{}, nil); err != nil {
		return err
	}
	f.count(s, c, rowSelect)
	return nil
}

// count compares the number of messages.
func (f *folder) count(s *session, c *clientConn, r row) {
	if want := uint64(len(f.messages)); s.strict() && c.exists != want {
		s.wrong(KindCount, r, "%d messages in %s, want %d", c.exists, f.name, want)
	}
}

// list fetches everything but bodies, and compares it. It records UIDs that are not known yet.
func (f *folder) list(s *session, c *clientConn) error {
	if len(f.messages) == 0 {
		return nil
	}
	seen := 0
	err := c.command(rowFetch, "1:* (UID FLAGS RFC822.SIZE)", time.Time{}, func(r *response) {
		if got, ok := s.fetched(rowFetch, r); ok && s.strict() {
			seen++
			f.compare(s, &got)
		}
	})
	if err == nil && s.strict() && seen != len(f.messages) {
		s.wrong(KindCount, rowFetch, "%d messages listed in %s, want %d", seen, f.name, len(f.messages))
	}
	return err
}

// fetched reads an untagged FETCH, or reports that it cannot be read.
func (s *session) fetched(r row, resp *response) (fetched, bool) {
	if !resp.is("FETCH") {
		return fetched{}, false
	}
	got, err := parseFetch(resp)
	if err != nil {
		s.wrong(KindProtocol, r, "%v", err.(*failure).err)
	}
	return got, err == nil
}

// compare compares an answer about a message with its expected content.
func (f *folder) compare(s *session, got *fetched) {
	if got.seq == 0 || got.seq > uint64(len(f.messages)) {
		s.wrong(KindCount, rowFetch, "message %d of %d in %s", got.seq, len(f.messages), f.name)
		return
	}
	m := f.messages[got.seq-1]
	switch {
	case got.uid == 0:
		s.wrong(KindMissing, rowFetch, "message %d of %s without UID", got.seq, f.name)
	case m.uid == 0:
		m.uid = got.uid
	case m.uid != got.uid:
		s.wrong(KindUID, rowFetch, "message %d of %s has UID %d, want %d", got.seq, f.name, got.uid, m.uid)
	}
	if got.hasSize && got.size != uint64(m.size) {
		s.wrong(KindLiteral, rowFetch, "message %d of %s has %d bytes, want %d", got.seq, f.name, got.size, m.size)
	}
	m.compareFlags(s, rowFetch, got)
}

// compareFlags checks that the flags are those that were set.
func (m *message) compareFlags(s *session, r row, got *fetched) {
	if !got.hasFlags {
		s.wrong(KindMissing, r, "message with UID %d without flags", m.uid)
		return
	}
	for _, flag := range m.flags {
		if !got.hasFlag(flag) {
			s.wrong(KindFlags, r, "message with UID %d has (%s), want %s", m.uid,
				shown(string(got.flags), s.credential()), flag)
		}
	}
	for _, flag := range []string{`\Seen`, `\Deleted`, `\Flagged`} {
		if got.hasFlag(flag) && !slices.Contains(m.flags, flag) {
			s.wrong(KindFlags, r, "message with UID %d has (%s), and nobody set %s", m.uid,
				shown(string(got.flags), s.credential()), flag)
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
			if got, ok := s.fetched(rowFetchBody, r); ok && s.strict() {
				wanted = s.compareBody(wanted, &got)
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

// store sets a flag on a message and checks the answer.
func (f *folder) store(s *session, c *clientConn, m *message, flag string) error {
	m.flags = append(m.flags, flag)
	told := false
	err := c.command(rowStore, fmt.Sprintf("%d +FLAGS (%s)", m.uid, flag), time.Time{}, func(r *response) {
		got, ok := s.fetched(rowStore, r)
		if !ok || !s.strict() || !got.hasFlags {
			return
		}
		if got.uid != 0 && got.uid != m.uid || got.seq == 0 || got.seq > uint64(len(f.messages)) ||
			f.messages[got.seq-1] != m {
			s.wrong(KindUID, rowStore, "flags of message %d with UID %d, want those of UID %d", got.seq,
				got.uid, m.uid)
			return
		}
		told = true
		m.compareFlags(s, rowStore, &got)
	})
	if err == nil && !told && s.strict() {
		s.wrong(KindMissing, rowStore, "nothing of the new flags of UID %d", m.uid)
	}
	return err
}

// expunge removes the oldest messages.
func (f *folder) expunge(s *session, c *clientConn, oldest int) error {
	if oldest == 0 {
		return nil
	}
	uids := fmt.Sprintf("%d:%d", f.messages[0].uid, f.messages[oldest-1].uid)
	if err := c.command(rowStore, uids+` +FLAGS.SILENT (\Deleted)`, time.Time{}, nil); err != nil {
		return err
	}
	if err := c.command(rowExpunge, "", time.Time{}, nil); err != nil {
		return err
	}
	f.messages = f.messages[oldest:]
	f.count(s, c, rowExpunge)
	return nil
}

// statusNumber asks for one number about a mailbox.
func (s *session) statusNumber(c *clientConn, mailbox, item string) (value uint64, err error) {
	found := false
	err = c.command(rowStatus, mailbox+" ("+item+")", time.Time{}, func(r *response) {
		if r.is("STATUS") {
			value, found = statusItem(r.args, item)
		}
	})
	if err == nil && !found && s.strict() {
		s.wrong(KindMissing, rowStatus, "nothing of %s in %s", item, mailbox)
	}
	return value, err
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
