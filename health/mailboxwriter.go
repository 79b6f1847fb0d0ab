package health

import (
	"crypto/rand"
	"errors"
	"fmt"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
)

// writeEach is how many runs of ImapDeepTestProbe there are to one that writes. A full volume can still be read.
const writeEach = 10

// mailboxWriter makes ImapDeepTestProbe write to a database's health mailbox: it appends a message and expunges it. It
// is safe for concurrent use.
type mailboxWriter struct {
	sender string // marks its messages

	mu     sync.Mutex // guards what follows
	runs   int
	failed bool // each run writes until one succeeds: a monitor counts failures in a row
	proved bool // it has succeeded, so the mailbox allows it
	barred bool // the mailbox does not allow it
}

// Writers are the writers to health mailboxes, by database. They outlast the plan of probes: if another plan breaks a
// run off, the next run that writes removes the message that was left, and a volume that was full is still written to
// in each run. The zero value is ready to use.
type Writers struct {
	mu  sync.Mutex
	all map[string]*mailboxWriter
}

// of returns the writer for a database's mailbox.
func (w *Writers) of(database string) *mailboxWriter {
	if w == nil {
		return newMailboxWriter()
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.all == nil {
		w.all = make(map[string]*mailboxWriter)
	}
	if w.all[database] == nil {
		w.all[database] = newMailboxWriter()
	}
	return w.all[database]
}

func newMailboxWriter() *mailboxWriter { return &mailboxWriter{sender: rand.Text()} }

// due reports whether a run writes: every tenth run, each run after a failure, and each run by hand, which also finds
// out whether the mailbox allows it by now. It never writes to an account that is given by hand.
func (w *mailboxWriter) due(run *Run) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case run.Account != "" || run.ReadOnly:
		return false
	case run.ByHand:
		return true
	case w.barred:
		return false
	}
	w.runs++
	return w.failed || w.runs%writeEach == 1
}

// write appends and expunges a message. A mailbox that has always been read-only is no fault. One that becomes
// read-only is, for example when its file system does.
func (w *mailboxWriter) write(client *imapclient.Client, run *Run) error {
	err := exchange(client, run, writeSubject, w.sender)
	w.mu.Lock()
	defer w.mu.Unlock()
	var answered *imap.Error
	if errors.As(err, &answered) && answered.Code == imap.ResponseCodeNoPerm && !w.proved {
		w.barred = true
		run.Context = fmt.Sprintf("no test message was written to the health mailbox: %v", err)
		return nil
	}
	w.failed, w.proved, w.barred = err != nil, w.proved || err == nil, false
	return err
}
