package bench

import (
	"context"
	"slices"
	"time"
)

// bulk uploads a batch of mail, downloads it and deletes it, with several commands in flight.
type bulk struct {
	resident
	profile *BulkProfile
	folder  folder
}

func (*bulk) row() row { return rowOpBulk }

func (b *bulk) setUp(_ context.Context, s *session) error {
	if err := s.main.learn(); err != nil {
		return err
	}
	if err := b.folder.create(s, s.main); err != nil {
		return err
	}
	return b.folder.selectFolder(s, s.main)
}

func (b *bulk) operate(_ context.Context, s *session) error {
	c := s.main
	batch := make([]*message, b.profile.Batch)
	for i := range batch {
		batch[i] = b.folder.newMessage(s, pickSize(b.profile.Sizes, s.random.Float64()))
	}
	from := s.takeDue()
	for group := range slices.Chunk(batch, b.profile.Depth) {
		if err := b.upload(s, group, from); err != nil {
			return err
		}
		from = time.Time{}
	}
	if err := c.command(rowNoop, "", time.Time{}, nil); err != nil { // servers may announce new messages late
		return err
	}
	b.folder.count(s, c, rowNoop)
	if err := b.folder.list(s, c); err != nil {
		return err
	}
	if err := s.fetchBodies(c, batch, b.profile.Depth, time.Time{}); err != nil {
		return err
	}
	return b.folder.expunge(s, c, len(b.folder.messages))
}

// upload appends messages, all in flight at once.
func (b *bulk) upload(s *session, group []*message, from time.Time) error {
	c := s.main
	var tags []uint64
	take := func(r *response) {
		if r.kind != tagged {
			return
		}
		if tag, ok := tagNumber(r.tag); ok {
			if i := slices.Index(tags, tag); i >= 0 {
				group[i].takeUID(r)
			}
		}
	}
	for _, m := range group {
		err := c.beginAppend(s.engine.text, b.folder.name, m, from, take)
		if err != nil {
			return err
		}
		tags, from = append(tags, c.last), time.Time{}
	}
	if err := c.wait(rowAppend, take); err != nil {
		return err
	}
	for _, m := range group {
		b.folder.arrived(s, m)
	}
	return nil
}

func (b *bulk) tearDown(s *session) error { return b.folder.remove(s.main) }
