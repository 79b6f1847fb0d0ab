package bench

import (
	"context"
	"fmt"
	"hash/crc32"
	"time"

	"portico/backend/backendtest"
)

// sizedMessages is the number of messages in a mailbox called SIZEn.
const sizedMessages = 1000

// fetch reads whole messages that it has appended before.
type fetch struct {
	resident
	profile *FetchProfile
	folder  folder
}

func (*fetch) row() row { return rowOpFetch }

func (f *fetch) setUp(_ context.Context, s *session) error {
	c := s.main
	if err := c.learn(); err != nil {
		return err
	}
	if err := f.folder.create(s, c); err != nil {
		return err
	}
	for range f.profile.Messages {
		if _, err := f.folder.add(s, c, pickSize(f.profile.Sizes, s.random.Float64()), time.Time{}); err != nil {
			return err
		}
	}
	if err := f.folder.selectFolder(s, c); err != nil {
		return err
	}
	return f.folder.list(s, c)
}

func (f *fetch) operate(_ context.Context, s *session) error {
	at := s.random.IntN(len(f.folder.messages))
	return s.fetchBodies(s.main, f.folder.messages[at:at+1], 1, s.takeDue())
}

func (f *fetch) tearDown(s *session) error { return f.folder.remove(s.main) }

// sizedFetch reads the messages of a mailbox called SIZEn. Each session uses one size.
type sizedFetch struct {
	resident
	profile *FetchProfile
	want    message
}

func (*sizedFetch) row() row { return rowOpFetch }

func (f *sizedFetch) setUp(_ context.Context, s *session) error {
	if f.want.size == 0 {
		f.want.size = pickSize(f.profile.Sizes, s.random.Float64())
		f.want.sum = crc32.Checksum(backendtest.Filler(f.want.size), castagnoli)
	}
	return s.main.choose(rowSelect, fmt.Sprintf("SIZE%d", f.want.size), mailbox{}, time.Time{})
}

func (f *sizedFetch) operate(_ context.Context, s *session) error {
	f.want.uid = 1 + s.random.Uint64N(sizedMessages)
	return s.fetchBodies(s.main, []*message{&f.want}, 1, s.takeDue())
}
