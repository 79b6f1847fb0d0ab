package bench

import (
	"context"
	"time"
)

// phone waits in IDLE. A second connection of the same user delivers a message, which wakes it. It ends IDLE, reads
// the news, and idles again.
type phone struct {
	resident
	profile *PhoneProfile
	folder  folder
	sender  *clientConn
}

func (*phone) row() row { return rowOpPhone }

func (p *phone) setUp(ctx context.Context, s *session) error {
	c := s.main
	if err := c.learn(); err != nil {
		return err
	}
	if err := p.folder.create(s, c); err != nil {
		return err
	}
	if err := p.folder.selectFolder(s, c); err != nil {
		return err
	}
	var err error
	if p.sender, err = s.signIn(ctx, time.Time{}); err != nil {
		return err
	}
	if err := p.sender.learn(); err != nil {
		return err
	}
	return c.idle(time.Time{})
}

func (p *phone) operate(_ context.Context, s *session) error {
	c := s.main
	sent := time.Now()
	m, err := p.folder.add(s, p.sender, pickSize(p.profile.Sizes, s.random.Float64()), s.takeDue())
	if err != nil {
		return err // where the sender is gone, all starts again
	}
	if err := p.awaitNews(s, sent); err != nil {
		return err
	}
	if err := c.endIdle(); err != nil {
		return err
	}
	if err := p.look(s, m); err != nil {
		return err
	}
	return c.idle(time.Time{})
}

// awaitNews waits until the new message is announced.
func (p *phone) awaitNews(s *session, sent time.Time) error {
	c := s.main
	want := uint64(len(p.folder.messages))
	c.pending[0].sent = sent // the news may take as long as an answer
	for c.mailbox.exists < want {
		resp, err := c.next(rowWake)
		switch {
		case err != nil:
			err = c.giveUp(err)
		case resp.kind == tagged:
			err = c.endedIdle(resp)
		}
		if err != nil {
			s.shard.ended(rowWake, sent, outcomeOf(err))
			return err
		}
	}
	p.folder.count(s, c, rowWake)
	result := outcomeDone
	if s.spoilt {
		result = outcomeFailed
	}
	s.shard.ended(rowWake, sent, result)
	return nil
}

// look sends the commands of a phone for a new message.
func (p *phone) look(s *session, m *message) error {
	c := s.main
	if m.uid == 0 {
		if err := p.folder.list(s, c); err != nil {
			return err
		}
	}
	if err := s.fetchBodies(c, []*message{m}, 1, time.Time{}); err != nil {
		return err
	}
	if err := p.folder.store(s, c, m, `\Seen`); err != nil {
		return err
	}
	if surplus := len(p.folder.messages) - p.profile.Keep; surplus > 0 {
		return p.folder.expunge(s, c, surplus)
	}
	return nil
}

func (p *phone) tearDown(s *session) error {
	if len(s.main.pending) > 0 {
		if err := s.main.endIdle(); err != nil {
			return err
		}
	}
	return p.folder.remove(s.main)
}
