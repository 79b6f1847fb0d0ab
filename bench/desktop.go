package bench

import (
	"context"
	"fmt"
	"time"
)

// desktop synchronises a mailbox. In each round a message arrives; the program finds it, reads it, sets flags, files
// it, and deletes the oldest.
type desktop struct {
	resident
	profile *DesktopProfile
	folder  folder
	archive folder
}

func (*desktop) row() row { return rowOpDesktop }

func (d *desktop) setUp(_ context.Context, s *session) error {
	c := s.main
	if err := c.learn(); err != nil {
		return err
	}
	if err := d.folder.create(s, c); err != nil {
		return err
	}
	if err := d.archive.create(s, c); err != nil {
		return err
	}
	for range d.profile.Messages {
		if _, err := d.folder.add(s, c, d.size(s), time.Time{}); err != nil {
			return err
		}
	}
	return nil
}

func (d *desktop) size(s *session) int { return pickSize(d.profile.Sizes, s.random.Float64()) }

func (d *desktop) operate(_ context.Context, s *session) error {
	c := s.main
	arrived, err := d.folder.add(s, c, d.size(s), s.takeDue())
	if err != nil {
		return err
	}
	if _, err := s.statusNumber(c, "INBOX", "UNSEEN"); err != nil {
		return err
	}
	if err := d.folder.selectFolder(s, c); err != nil {
		return err
	}
	if err := d.folder.list(s, c); err != nil {
		return err
	}
	if err := s.fetchBodies(c, []*message{arrived}, 1, time.Time{}); err != nil {
		return err
	}
	if err := d.folder.store(s, c, arrived, `\Seen`); err != nil {
		return err
	}
	if err := d.file(s, arrived); err != nil {
		return err
	}
	return d.folder.expunge(s, c, len(d.folder.messages)-d.profile.Messages)
}

// file copies a message to the archive, which is emptied when it is full.
func (d *desktop) file(s *session, m *message) error {
	c := s.main
	if len(d.archive.messages) >= d.profile.Messages {
		if err := d.archive.create(s, c); err != nil {
			return err
		}
	}
	if err := c.command(rowCopy, fmt.Sprintf("%d %s", m.uid, d.archive.name), time.Time{}, nil); err != nil {
		return err
	}
	d.archive.messages = append(d.archive.messages, m)
	count, err := s.statusNumber(c, d.archive.name, "MESSAGES")
	if want := uint64(len(d.archive.messages)); err == nil && s.strict() && count != want {
		s.wrong(KindCount, rowStatus, "%d messages in %s, want %d", count, d.archive.name, want)
	}
	return err
}

func (d *desktop) tearDown(s *session) error {
	if err := d.archive.remove(s.main); err != nil {
		return err
	}
	return d.folder.remove(s.main)
}
