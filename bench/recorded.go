package bench

import (
	"context"
	"fmt"
	"time"

	"portico/bench/replay"
)

// recorded plays commands of a recording: those of one of its sessions, or random ones of its mix.
type recorded struct {
	session *replay.Session // nil for the mix
	mix     *replay.Mix
	mail    *testMail
	chosen  bool // the mailbox is selected
	reading bool // by EXAMINE
	idling  bool
}

func (*recorded) row() row { return rowOpRecorded }

// stays reports whether the session was open when the recording began. Such sessions sign in before the run.
func (p *recorded) stays() bool { return p.session == nil || p.session.Open }

func (p *recorded) setUp(context.Context, *session) error {
	p.chosen, p.reading, p.idling = false, false, false
	return nil
}

func (p *recorded) tearDown(s *session) error { return p.endIdle(s.main) }

// operate plays the operation that is due, or one command of the mix.
func (p *recorded) operate(ctx context.Context, s *session) error {
	if p.session == nil {
		return p.play(ctx, s, p.mix.Pick(s.random.Float64()))
	}
	for _, step := range p.session.Operations[s.schedule.number-1].Steps {
		if err := p.play(ctx, s, step); err != nil {
			return err
		}
	}
	return nil
}

// play plays one command. A session that has lost its connection signs in again first.
func (p *recorded) play(ctx context.Context, s *session, step replay.Step) error {
	switch {
	case step.Verb == replay.SignIn:
		return p.signIn(ctx, s)
	case step.Verb == replay.Drop:
		s.disconnect()
		return nil
	case s.main == nil:
		if err := p.signIn(ctx, s); err != nil {
			return err
		}
	}
	if step.Verb == replay.Done && !p.idling { // its IDLE was lost with the connection
		step.Verb = replay.Noop
	}
	if p.idling {
		if err := p.endIdle(s.main); err != nil || step.Verb == replay.Done {
			return err
		}
	}
	if needsMailbox(step.Verb) && !p.chosen || p.reading &&
		(step.Verb == replay.Store || step.Verb == replay.Expunge) {
		if err := p.choose(s, rowSelect, s.takeDue()); err != nil {
			return err
		}
	}
	return p.send(s, step)
}

// signIn signs in on a new connection.
func (p *recorded) signIn(ctx context.Context, s *session) error {
	if s.main != nil {
		if err := p.endIdle(s.main); err != nil {
			return err
		}
		if err := p.logout(s, s.takeDue()); err != nil {
			return err
		}
	}
	p.chosen, p.reading, p.idling = false, false, false
	if err := s.open(ctx, s.takeDue()); err != nil {
		return err
	}
	s.nowJoined()
	return nil
}

func (p *recorded) logout(s *session, from time.Time) error {
	defer s.disconnect()
	return s.main.command(rowLogout, "", from, nil)
}

func (p *recorded) endIdle(c *clientConn) error {
	if !p.idling {
		return nil
	}
	p.idling = false
	return c.endIdle()
}

// needsMailbox reports whether a command is only allowed in a selected mailbox.
func needsMailbox(v replay.Verb) bool {
	switch v {
	case replay.FetchFlags, replay.FetchHeaders, replay.FetchBody, replay.Store, replay.Copy, replay.Expunge,
		replay.Close, replay.Search, replay.SearchText:
		return true
	}
	return false
}

// choose selects the user's test mailbox.
func (p *recorded) choose(s *session, r row, from time.Time) error {
	err := s.main.choose(r, p.mail.name, mailbox{fixed: true}, from)
	p.reading = r == rowExamine
	if p.chosen = err == nil; p.chosen && s.strict() {
		if n := s.main.mailbox.exists; s.main.mailbox.known && n < uint64(len(p.mail.messages)) {
			s.wrong(KindCount, r, "%d messages in %s, want %d or more", n, p.mail.name, len(p.mail.messages))
		}
	}
	return err
}

// send sends a command and waits for its answer.
func (p *recorded) send(s *session, step replay.Step) error {
	c, from := s.main, s.takeDue()
	plain := func(r row, args string) error { return c.command(r, args, from, nil) }
	switch step.Verb {
	case replay.Capability:
		return c.command(rowCapability, "", from, c.caps.read)
	case replay.ID:
		return plain(rowID, identity(s.engine.options.Version))
	case replay.Namespace:
		return plain(rowNamespace, "")
	case replay.List:
		return s.answered(c, rowList, `"" "*"`, from, dataList)
	case replay.Status:
		return s.answered(c, rowStatus, p.mail.name+" (MESSAGES UIDNEXT UNSEEN)", from, dataStatus)
	case replay.Select:
		return p.choose(s, rowSelect, from)
	case replay.Examine:
		return p.choose(s, rowExamine, from)
	case replay.FetchFlags, replay.FetchHeaders, replay.FetchBody:
		return p.fetch(s, step, from)
	case replay.Store:
		return plain(rowStore, fmt.Sprintf(`%d +FLAGS (\Seen)`, p.mail.any(s).uid))
	case replay.Copy:
		return plain(rowCopy, fmt.Sprintf("%d %s", p.mail.any(s).uid, p.mail.filed()))
	case replay.Expunge:
		return plain(rowExpunge, "")
	case replay.Close:
		p.chosen, p.reading = false, false
		err := plain(rowClose, "")
		c.mailbox = mailbox{}
		return err
	case replay.Search:
		return s.answered(c, rowSearch, "UNSEEN", from, dataSearch)
	case replay.SearchText:
		return s.answered(c, rowSearchText, `BODY "liquor"`, from, dataSearch)
	case replay.Append:
		m := s.engine.text.newMessage(s.engine.options.RunID, s.number, s.schedule.number, int(step.Bytes))
		return c.appendMail(s.engine.text, p.mail.filed(), m, from, nil)
	case replay.Idle:
		return p.idle(s, from)
	case replay.Logout:
		return p.logout(s, from)
	}
	return plain(rowNoop, "")
}

func (p *recorded) idle(s *session, from time.Time) error {
	err := s.main.idle(from)
	p.idling = err == nil
	return err
}

// fetch plays a FETCH whose answer is as large as that of the recording, as far as the mailbox has messages for it.
func (p *recorded) fetch(s *session, step replay.Step, from time.Time) error {
	switch step.Verb {
	case replay.FetchFlags:
		uids, n := p.mail.window(s, step.Messages)
		return p.fetched(s, rowFetch, uids+" (UID FLAGS)", from, n, attrUID|attrFlags, 0)
	case replay.FetchHeaders:
		n := min(int(max(step.Messages, 1)), len(p.mail.messages))
		return p.fetched(s, rowEnvelopes, fmt.Sprintf("1:%d (UID FLAGS ENVELOPE)", n), from, n,
			attrUID|attrFlags|attrEnvelope, 0)
	}
	part := p.mail.part(s, step.Bytes, step.Messages)
	args := fmt.Sprintf("%s (UID BODY.PEEK[]<0.%d>)", part.uids, part.each)
	return p.fetched(s, rowFetchBody, args, from, part.n, attrUID|attrBody, part.bytes)
}

// fetched sends a FETCH, and checks that everything came of all messages, and if given the size of the bodies.
func (p *recorded) fetched(s *session, r row, args string, from time.Time, messages int, want attributes,
	bytes uint64) error {
	came, got := s.expect(want, messages), uint64(0)
	err := s.main.command(r, args, from, func(resp *response) {
		if f := &resp.fetched; resp.is("FETCH") && f.uid != 0 && p.mail.has(f.uid) {
			came.add(f.uid, f)
			got += f.body.size
		}
	})
	if err != nil || !s.strict() {
		return err
	}
	came.check(s, r, p.mail.name)
	if got != bytes && bytes > 0 {
		s.wrong(KindLiteral, r, "%d bytes of bodies, want %d", got, bytes)
	}
	return nil
}
