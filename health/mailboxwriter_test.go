package health

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-imap/v2/imapclient"
)

// Of ten runs one writes; after a failure each does, until one succeeds; and so does each that somebody waits for, but
// not to an account that somebody names.
func TestRunsThatWrite(t *testing.T) {
	w := newMailboxWriter()
	runs := func(n int) (wrote string) {
		for range n {
			if w.due(&Run{}) {
				wrote += "w"
			} else {
				wrote += "."
			}
		}
		return wrote
	}
	if got := runs(21); got != "w.........w.........w" {
		t.Errorf("of 21 runs %s write", got)
	}
	w.failed = true
	if got := runs(3); got != "www" {
		t.Errorf("after a failure %s write", got)
	}
	w.failed = false
	if got := runs(6); got != "......" {
		t.Errorf("when it has succeeded again %s write", got)
	}
	for _, c := range []struct {
		run  Run
		want bool
	}{{Run{ByHand: true}, true}, {Run{ByHand: true, Account: "anna"}, false}, {Run{Account: "anna"},
		false}, {Run{ByHand: true, ReadOnly: true}, false}} {
		if got := w.due(&c.run); got != c.want {
			t.Errorf("%+v writes: %v", c.run, got)
		}
	}
}

// A mailbox that never allowed writing is only read from then on. One that allowed it and no longer does is at fault,
// as is one that takes no mail.
func TestMailboxesThatForbidWriting(t *testing.T) {
	const (
		noPermission = "NO [NOPERM] Permission denied"
		full         = "NO [OVERQUOTA] Not enough disk space"
	)
	w := newMailboxWriter()
	for _, step := range []struct {
		name, answer string
		proved       bool
		fails        bool
		barred       bool
	}{
		{"full", full, false, true, false},
		{"forbidden later", noPermission, true, true, false},
		{"forbidden", noPermission, false, false, true},
	} {
		w.proved = step.proved
		run := &Run{now: time.Now}
		err := w.write(appends(t, step.answer), run)
		if (err != nil) != step.fails || w.barred != step.barred {
			t.Errorf("%s: %v, barred %v", step.name, err, w.barred)
		}
		if step.fails && (run.phase != PhaseAppend || !w.due(&Run{})) {
			t.Errorf("%s: phase %q, and the next run does not write", step.name, run.phase)
		}
		if step.barred && !strings.Contains(run.Context, "NOPERM") {
			t.Errorf("%s: it says %q", step.name, run.Context)
		}
	}
	if w.due(&Run{}) || !w.due(&Run{ByHand: true}) {
		t.Error("a mailbox that forbids writing is written to again, other than by hand")
	}
}

// appends returns a client whose server takes the message of an APPEND, and answers that so.
func appends(t *testing.T, answer string) *imapclient.Client {
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		lines := bufio.NewReader(far)
		io.WriteString(far, "* PREAUTH [CAPABILITY IMAP4rev1] signed in\r\n")
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return
			}
			tag, command, _ := strings.Cut(line, " ")
			var size int64
			if _, literal, ok := strings.Cut(command, "{"); ok {
				fmt.Sscanf(literal, "%d", &size)
				io.WriteString(far, "+ go on\r\n")
				io.CopyN(io.Discard, lines, size)
				lines.ReadString('\n')
			}
			io.WriteString(far, tag+" "+answer+"\r\n")
		}
	}()
	client := imapclient.New(near, nil)
	t.Cleanup(func() {
		client.Close()
		<-client.Closed()
	})
	return client
}
