package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"runtime/debug"
	"syscall"

	"portico/backend"
	"portico/proxy/setup"
	"portico/proxy/wire"
)

// panicError is a panic as an error.
type panicError struct {
	value any
	stack []byte
}

// panicked makes an error of what recover gave.
func panicked(v any) error {
	if away, ok := v.(*setup.Panic); ok {
		return &panicError{value: away.Value, stack: away.Stack}
	}
	return &panicError{value: v, stack: debug.Stack()}
}

// stackOf returns where a panic was, if there was one.
func stackOf(err error) []byte {
	var panicky *panicError
	if errors.As(err, &panicky) {
		return panicky.stack
	}
	return nil
}

func (e *panicError) Error() string { return fmt.Sprint("panic: ", e.value) }

// outcomeOfKind maps the kinds of errors that the mailbox servers' side knows.
var outcomeOfKind = [backend.NumKinds]Outcome{
	backend.KindNoMailbox:     OutcomeNoMailbox,
	backend.KindDisabled:      OutcomeDisabled,
	backend.KindDirectory:     OutcomeDirectoryDown,
	backend.KindNoActiveCopy:  OutcomeNoActiveCopy,
	backend.KindResting:       OutcomeServerResting,
	backend.KindLocal:         OutcomeNoResources,
	backend.KindDial:          OutcomeDial,
	backend.KindTLS:           OutcomeServerTLS,
	backend.KindGreeting:      OutcomeServerGreeting,
	backend.KindNoMechanism:   OutcomeServerMechanism,
	backend.KindBadCredential: OutcomeBadCredential,
	backend.KindRefused:       OutcomeServerRefused,
	backend.KindNotAuthorized: OutcomeNotAuthorized,
	backend.KindOwnCredential: OutcomeOwnCredential,
	backend.KindProtocol:      OutcomeServerProtocol,
	backend.KindBye:           OutcomeServerRefused,
	backend.KindClosed:        OutcomeServerClosed,
	backend.KindTimeout:       OutcomeServerTimeout,
	backend.KindCancelled:     OutcomeDraining,
	backend.KindClient:        OutcomeClientGone, // but see outcomeOf
}

// outcomeOf finds the outcome that an error stands for. What it does not know is OutcomeInternal.
func outcomeOf(err error) Outcome {
	if outcome, ok := err.(Outcome); ok { // most are
		return outcome
	}
	var (
		outcome Outcome
		server  *backend.Error
		syntax  *wire.SyntaxError
		limit   *wire.LimitError
		panicky *panicError
	)
	switch {
	case errors.As(err, &outcome):
		return outcome
	case errors.As(err, &server) && server.Kind == backend.KindClient && server.Err != nil:
		return outcomeOf(server.Err)
	case errors.As(err, &server):
		return outcomeOfKind[server.Kind]
	case errors.Is(err, backend.ErrUserName):
		return OutcomeBadUser
	case errors.As(err, &syntax):
		return OutcomeSyntax
	case errors.As(err, &limit):
		return OutcomeTooLong
	case errors.Is(err, backend.ErrMessage):
		return OutcomeBadSASL
	case errors.Is(err, wire.ErrBase64):
		return OutcomeBase64
	case errors.Is(err, wire.ErrCancelled):
		return OutcomeCancelled
	case errors.As(err, &panicky):
		return OutcomePanic
	}
	return outcomeOfIO(err)
}

// outcomeOfIO returns the outcome of an error from reading or writing the client's connection.
func outcomeOfIO(err error) Outcome {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return OutcomeTimeout
	case errors.Is(err, context.Canceled):
		return OutcomeDraining
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, io.ErrClosedPipe), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, syscall.ETIMEDOUT), errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return OutcomeClientGone
	}
	return OutcomeInternal
}

// serverWords returns the response code and text that the client may see of a refusal by the mailbox server itself.
func serverWords(err error) (code, text string) {
	var server *backend.Error
	if errors.As(err, &server) {
		return server.Code, server.Text
	}
	return "", ""
}
