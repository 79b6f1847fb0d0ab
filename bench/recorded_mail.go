package bench

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"portico/bench/replay"
)

// Limits of the mailbox that each test user gets for a recording's commands.
const (
	leastMessages = 16
	mostMessages  = 256
	smallMessage  = 4 << 10
	largeMessage  = 2 << 20 // bytes, at most
	mailWorkers   = 8       // test users whose mailboxes are made at once
	mailErrors    = 8       // of them, after which the others are left alone
)

// testMail is the mailbox of a test user that commands of a recording read. It does not lose messages: APPEND and COPY
// go to a second one, and nothing is marked as deleted. Its fields do not change once it is filled.
type testMail struct {
	user, target int // of the options
	name         string
	messages     []message // the largest first, with ascending UIDs
}

// filed returns the name of the mailbox for added messages.
func (m *testMail) filed() string { return m.name + "-filed" }

// has reports whether a UID is that of a message.
func (m *testMail) has(uid uint64) bool {
	_, found := slices.BinarySearchFunc(m.messages, uid, func(msg message, uid uint64) int {
		return cmp.Compare(msg.uid, uid)
	})
	return found
}

func (m *testMail) any(s *session) *message { return &m.messages[s.random.IntN(len(m.messages))] }

// set returns messages as a set of UIDs.
func (m *testMail) set(from, n int) string {
	var b strings.Builder
	for i := range n {
		first := m.messages[from+i].uid
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprint(&b, first)
	}
	if first, last := m.messages[from].uid, m.messages[from+n-1].uid; n > 1 && last-first == uint64(n-1) {
		return fmt.Sprintf("%d:%d", first, last)
	}
	return b.String()
}

// window chooses a number of adjacent messages, or all if there are fewer.
func (m *testMail) window(s *session, messages uint32) (uids string, n int) {
	n = int(min(max(messages, 1), uint32(len(m.messages))))
	return m.set(s.random.IntN(len(m.messages)-n+1), n), n
}

// bodyPart is a choice of messages to read, and how many bytes of each.
type bodyPart struct {
	uids  string
	n     int
	each  uint64 // at most, of each message
	bytes uint64 // of all
}

// part chooses messages so that an answer has about the wanted number of bytes and messages. If messages are too
// small, it takes more of them. If there are too few, the answer is smaller.
func (m *testMail) part(s *session, bytes, messages uint32) bodyPart {
	n := int(min(max(messages, 1), uint32(len(m.messages))))
	each := max(uint64(bytes)/uint64(n), 1)
	fit := 0 // messages of at least that size
	for fit < len(m.messages) && uint64(m.messages[fit].size) >= each {
		fit++
	}
	from := 0
	if fit >= n {
		from = s.random.IntN(fit - n + 1)
	} else {
		for ; n < len(m.messages) && m.sum(0, n, each) < uint64(bytes); n++ {
		}
		if m.sum(0, n, each) < uint64(bytes) {
			each = largeMessage // each as a whole
		}
	}
	return bodyPart{m.set(from, n), n, each, m.sum(from, n, each)}
}

func (m *testMail) sum(from, n int, each uint64) (sum uint64) {
	for _, msg := range m.messages[from : from+n] {
		sum += min(uint64(msg.size), each)
	}
	return sum
}

// sizesFor returns the sizes of a mailbox's messages, the largest first, so that most answers of a recording can have
// their size.
func sizesFor(steps func(each func(replay.Step))) []int {
	var messages, bytes []uint32
	steps(func(step replay.Step) {
		if step.Messages > 0 {
			messages = append(messages, step.Messages)
		}
		if step.Verb == replay.FetchBody {
			bytes = append(bytes, step.Bytes/max(step.Messages, 1))
		}
	})
	count := int(min(max(high(messages), leastMessages), mostMessages))
	var sizes []int
	for size := int(min(high(bytes), largeMessage)); size > smallMessage && len(sizes) < count/2; size /= 2 {
		sizes = append(sizes, size)
	}
	for len(sizes) < count {
		sizes = append(sizes, smallMessage)
	}
	return sizes
}

// high returns the 99th percentile; of nothing it is 0.
func high(values []uint32) uint32 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[len(values)*99/100]
}

// prepareMail creates the mailboxes of all users, before anything is measured.
func (e *engine) prepareMail(ctx context.Context) error {
	return e.eachMail(ctx, time.Hour, func(s *session, c *clientConn, m *testMail) error {
		if err := c.learn(); err != nil {
			return err
		}
		for _, name := range []string{m.name, m.filed()} {
			if err := c.command(rowCreate, name, time.Time{}, nil); err != nil {
				return err
			}
		}
		for i, size := range e.mailSizes {
			msg := e.text.newMessage(e.options.RunID, m.user, i, size)
			if err := c.appendMail(e.text, m.name, msg, time.Time{}, nil); err != nil {
				return err
			}
		}
		return m.learn(s, c)
	})
}

// learn reads the UIDs and sizes of a mailbox that was filled.
func (m *testMail) learn(s *session, c *clientConn) error {
	if err := c.choose(rowSelect, m.name, mailbox{fixed: true}, time.Time{}); err != nil {
		return err
	}
	err := c.command(rowFetch, "1:* (UID RFC822.SIZE)", time.Time{}, func(r *response) {
		if got := &r.fetched; r.is("FETCH") && got.uid > 0 && got.hasSize {
			m.messages = append(m.messages, message{uid: got.uid, size: int(got.size)})
		}
	})
	want := s.engine.mailSizes
	if err != nil || s.strict() && len(m.messages) == len(want) {
		return err
	}
	if s.strict() {
		return failed(KindCount, rowFetch, "%d messages in %s, want %d", len(m.messages), m.name, len(want))
	}
	m.messages = nil // the contents of answers do not count: any UIDs will do
	for i, size := range want {
		m.messages = append(m.messages, message{uid: uint64(i + 1), size: size})
	}
	return nil
}

// removeMail removes the mailboxes.
func (e *engine) removeMail(ctx context.Context) error {
	return e.eachMail(ctx, 2*e.options.Grace, func(_ *session, c *clientConn, m *testMail) error {
		for _, name := range []string{m.name, m.filed()} {
			if err := c.removeMailbox(name); err != nil {
				return err
			}
		}
		return nil
	})
}

// mailWork is work on one test user's mailboxes, after sign-in.
type mailWork func(*session, *clientConn, *testMail) error

// tidyMail removes the mailboxes at the end of a run. A failure is an error of the run.
func (e *engine) tidyMail(ctx context.Context) {
	if err := e.removeMail(ctx); err != nil {
		f := &failure{KindTimeout, rowDelete, err}
		errors.As(err, &f)
		e.recorder.shards[0].wrong(f.kind, f.Error(), time.Now())
	}
}

// eachMail signs in as each test user, several at a time, on connections that are not measured.
func (e *engine) eachMail(ctx context.Context, limit time.Duration, do mailWork) error {
	if len(e.mail) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	apart := &engine{
		options: e.options, unseen: e.unseen, text: e.text, mailSizes: e.mailSizes, over: make(chan struct{}),
	}
	work := make(chan *testMail)
	var running sync.WaitGroup
	var mu sync.Mutex
	var errs []error
	for range mailWorkers {
		running.Go(func() {
			for m := range work {
				if err := apart.asUser(ctx, m, do); err != nil {
					mu.Lock()
					if errs = append(errs, err); len(errs) == mailErrors {
						cancel()
					}
					mu.Unlock()
				}
			}
		})
	}
	for _, m := range e.mail {
		if ctx.Err() != nil {
			break
		}
		work <- m
	}
	close(work)
	running.Wait()
	if len(errs) > 0 {
		return errs[0] // the others are of the same kind, or were cut by it
	}
	return context.Cause(ctx)
}

func (e *engine) asUser(ctx context.Context, m *testMail, do mailWork) error {
	o := &e.options
	s, err := e.newSession(m.user, o.Users[m.user], &o.Targets[m.target])
	if err != nil {
		return err
	}
	defer s.disconnect()
	c, err := s.signIn(ctx, time.Time{})
	if err == nil {
		stop := context.AfterFunc(ctx, s.cutOff)
		defer stop()
		err = do(s, c, m)
	}
	if err == nil {
		err = c.command(rowLogout, "", time.Time{}, nil)
	}
	if err == nil {
		return nil
	}
	var f *failure
	if !errors.As(err, &f) {
		f = &failure{KindProtocol, rowOpRecorded, err}
	}
	text := shown(f.err.Error(), s.credential())
	return &failure{f.kind, f.row, fmt.Errorf("test mailbox of %s: %s", s.user.Name, text)}
}
