package bench

import (
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
	if err := c.command(rowSelect, "INBOX", time.Time{}, nil); err != nil {
		return err
	}
	if err := w.look(s); err != nil {
		return err
	}
	return c.command(rowLogout, "", time.Time{}, nil)
}

// look fetches the envelopes of the last messages, and checks that each comes once, with ascending UIDs.
func (w *webmail) look(s *session) error {
	c := s.main
	last := c.exists
	if last == 0 {
		return nil
	}
	first := max(1, int64(last)-int64(w.profile.Envelopes)+1)
	seen, uid := uint64(0), uint64(0)
	err := c.command(rowEnvelopes, fmt.Sprintf("%d:%d (UID FLAGS ENVELOPE)", first, last), time.Time{},
		func(r *response) {
			got, ok := s.fetched(rowEnvelopes, r)
			if !ok || !s.strict() {
				return
			}
			if got.seq != uint64(first)+seen {
				s.wrong(KindCount, rowEnvelopes, "message %d, want %d", got.seq, uint64(first)+seen)
			}
			if got.uid <= uid {
				s.wrong(KindUID, rowEnvelopes, "UID %d behind UID %d", got.uid, uid)
			}
			seen, uid = seen+1, got.uid
		})
	if want := last - uint64(first) + 1; err == nil && s.strict() && seen != want {
		s.wrong(KindCount, rowEnvelopes, "%d messages, want %d", seen, want)
	}
	return err
}
