package bench

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// visitor is embedded by scripts that sign in for each operation.
type visitor struct{}

func (visitor) stays() bool                           { return false }
func (visitor) setUp(context.Context, *session) error { return nil }
func (visitor) tearDown(*session) error               { return nil }

// webmail is a page of a webmail program, which makes a connection for each page.
type webmail struct {
	visitor
	profile *WebmailProfile
}

func (*webmail) row() row { return rowOpWebmail }

func (w *webmail) operate(ctx context.Context, s *session) error {
	if err := s.open(ctx, s.takeDue()); err != nil {
		return err
	}
	defer s.disconnect()
	c := s.main
	listed := 0
	err := c.command(rowList, `"" "%"`, time.Time{}, func(r *response) {
		if r.is("LIST") {
			listed++
		}
	})
	if err != nil {
		return err
	}
	if listed == 0 {
		s.wrong(KindMissing, rowList, "no mailbox at all")
	}
	if _, err := s.statusNumber(c, "INBOX", "UNSEEN"); err != nil {
		return err
	}
	if err := c.choose(rowSelect, "INBOX", mailbox{}, time.Time{}); err != nil {
		return err
	}
	if err := w.look(s); err != nil {
		return err
	}
	return c.command(rowLogout, "", time.Time{}, nil)
}

// look fetches the envelopes of the last messages, and checks that each comes, with ascending UIDs.
func (w *webmail) look(s *session) error {
	c := s.main
	last := c.mailbox.exists
	if last == 0 {
		return nil
	}
	first := uint64(max(1, int64(last)-int64(w.profile.Envelopes)+1))
	came := s.expect(attrUID|attrFlags|attrEnvelope, int(last-first+1))
	seq, uid := uint64(0), uint64(0)
	err := c.command(rowEnvelopes, fmt.Sprintf("%d:%d (UID FLAGS ENVELOPE)", first, last), time.Time{},
		func(r *response) {
			got := &r.fetched
			if !r.is("FETCH") || got.seq < first || got.seq > last || !s.strict() { // news of other messages
				return
			}
			came.add(got.seq, got)
			if got.uid == 0 {
				return
			}
			if cmp.Compare(got.seq, seq) != cmp.Compare(got.uid, uid) {
				s.wrong(KindUID, rowEnvelopes, "message %d has UID %d, behind message %d with UID %d", got.seq, got.uid,
					seq, uid)
			}
			seq, uid = got.seq, got.uid
		})
	if err == nil && s.strict() {
		came.check(s, rowEnvelopes, "INBOX")
	}
	return err
}
