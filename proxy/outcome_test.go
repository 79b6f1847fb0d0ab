package proxy

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"syscall"
	"testing"

	"portico/backend"
	"portico/proxy/wire"
)

func TestOutcomeTableIsComplete(t *testing.T) {
	label := regexp.MustCompile(`^[a-z][a-z0-9_]{1,50}$`)
	seen := map[string]Outcome{}
	for o := range numOutcomes {
		row := o.row()
		if !label.MatchString(row.label) || row.log == "" {
			t.Errorf("outcome %d: label %q, log %q", o, row.label, row.log)
		}
		if other, twice := seen[row.label]; twice {
			t.Errorf("outcomes %d and %d share the label %q", o, other, row.label)
		}
		seen[row.label] = o
		if (row.reply == replyNone) != (row.text == "") {
			t.Errorf("%v: reply %d with text %q", o, row.reply, row.text)
		}
		if wantEnd := row.reply == replyBYE || row.reply == replyNone; row.ends != wantEnd {
			t.Errorf("%v: ends %v with reply %d", o, row.ends, row.reply)
		}
		if row.ends != (row.charge == chargeNone) {
			t.Errorf("%v: ends %v, charges %d: a refusal costs something, or a client could go on for ever", o,
				row.ends, row.charge)
		}
	}
}

func TestEveryBackendKindHasAnOutcome(t *testing.T) {
	for kind := range backend.Kind(backend.NumKinds) {
		err := fmt.Errorf("sign-in: %w", &backend.Error{Kind: kind})
		if o := outcomeOf(err); o == OutcomeInternal {
			t.Errorf("kind %v has no outcome", kind)
		}
	}
}

// Who guesses at names must not see whether a name exists.
func TestCredentialOutcomesLookAlike(t *testing.T) {
	want := OutcomeBadCredential.row()
	for _, o := range []Outcome{OutcomeBadUser, OutcomeNoMailbox} {
		row := o.row()
		if row.reply != want.reply || row.code != want.code || row.text != want.text || row.charge != want.charge {
			t.Errorf("%v differs from %v", o, OutcomeBadCredential)
		}
	}
}

func TestOutcomeOf(t *testing.T) {
	tests := []struct {
		err  error
		want Outcome
	}{
		{errors.New("what is this"), OutcomeInternal},
		{OutcomeHTTP, OutcomeHTTP},
		{fmt.Errorf("phase: %w", OutcomeLimitUser), OutcomeLimitUser},
		{fmt.Errorf("%w; the last one: %w", OutcomeTooManyBad, OutcomeSyntax), OutcomeTooManyBad},
		{&panicError{value: "ouch"}, OutcomePanic},
		{&wire.SyntaxError{}, OutcomeSyntax},
		{&wire.LimitError{}, OutcomeTooLong},
		{wire.ErrBase64, OutcomeBase64},
		{wire.ErrCancelled, OutcomeCancelled},
		{fmt.Errorf("why: %w", backend.ErrUserName), OutcomeBadUser},
		{&backend.Error{Kind: backend.KindTimeout, Err: os.ErrDeadlineExceeded}, OutcomeServerTimeout},
		{&backend.Error{Kind: backend.KindDial, Err: syscall.ECONNRESET}, OutcomeDial},
		{&backend.Error{Kind: backend.KindCancelled, Err: OutcomeDraining}, OutcomeDraining},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, OutcomeTimeout},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, OutcomeClientGone},
		{io.EOF, OutcomeClientGone},
		{io.ErrUnexpectedEOF, OutcomeClientGone},
		{net.ErrClosed, OutcomeClientGone},
		{context.Canceled, OutcomeDraining},
		{tls.RecordHeaderError{}, OutcomeInternal}, // tls.go knows better
	}
	for _, test := range tests {
		if got := outcomeOf(test.err); got != test.want {
			t.Errorf("%v: got %v, want %v", test.err, got, test.want)
		}
	}
}

func TestAppendAnswer(t *testing.T) {
	tests := []struct {
		reply           reply
		tag, code, text string
		want            string
	}{
		{replyNone, "a", "X", "text", ""},
		{replyNO, "a", "LIMIT", "Too many.", "a NO [LIMIT] Too many.\r\n"},
		{replyBAD, "a", "", "What?", "a BAD What?\r\n"},
		{replyBAD, "", "", "What?", "* BAD What?\r\n"},
		{replyBYE, "a", "", "Enough.", "* BYE Enough.\r\n"},
	}
	for _, test := range tests {
		if got := string(appendAnswer(nil, test.reply, test.tag, test.code, test.text)); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}
