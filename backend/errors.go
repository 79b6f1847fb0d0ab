package backend

import (
	"errors"
	"net"
	"slices"
	"strings"
	"syscall"
)

// Kind is what went wrong on the way to a mailbox, for the one table that turns it into a reply, a metric label and a
// log level. The set is closed: NumKinds lets that table prove that it is complete.
type Kind uint8

// The kinds.
const (
	KindNoMailbox    Kind = iota // the user has no mailbox here
	KindDisabled                 // the directory has the user, who must not sign in
	KindDirectory                // the directory cannot tell
	KindNoActiveCopy             // the database has no active copy
	// the server's circuit breaker is open
	KindResting
	KindLocal       // this machine has no descriptors, ports or memory left for a connection
	KindDial        // no TCP connection to the mailbox server
	KindTLS         // STARTTLS refused, handshake failed, or the certificate is not the server's
	KindGreeting    // PREAUTH, no IMAP, no capabilities, bytes behind the STARTTLS answer
	KindNoMechanism // the server offers no mechanism that can carry the credential
	// the server, or a verifier, says that the credential is wrong; counts against the client
	KindBadCredential
	KindRefused       // the server refuses the sign-in for another reason; see Code and Text
	KindNotAuthorized // who signs in is who it says, and may not open that mailbox
	KindOwnCredential // the server refuses a credential of the proxy's own
	KindProtocol      // the server answered the sign-in with something that is no answer to it
	KindBye           // the server said BYE; see Code
	KindClosed        // the server closed or reset the connection
	KindTimeout       // the phase took too long
	KindCancelled     // the caller gave up: its context ended
	// the client did not go on with the exchange; the cause is what SignInRequest.Converse returned
	KindClient
	NumKinds = int(iota)
)

var kindNames = [NumKinds]string{
	"no_mailbox", "disabled", "directory", "no_active_copy", "resting", "local", "dial", "tls", "greeting",
	"no_mechanism", "bad_credential", "refused",
	"not_authorized", "own_credential", "protocol", "bye", "closed", "timeout", "cancelled", "client",
}

// String returns the kind as a metric label.
func (k Kind) String() string { return kindNames[k] }

// The phases of reaching a mailbox server, as metric labels and logs show them. With STARTTLS the greeting comes
// before TLS and the capabilities, asked again, after it; both count as greeting.
const (
	PhaseRoute    = "route"
	PhaseVerify   = "verify"
	PhaseDial     = "dial"
	PhaseTLS      = "tls"
	PhaseGreeting = "greeting"
	PhaseSignIn   = "signin"
)

// Error is every error that Tier's Route, Verify and SignIn return; use errors.As. It holds no secret.
type Error struct {
	Kind   Kind
	Server string // the mailbox server's name; "" before there is one
	Phase  string // one of the Phase constants
	// with KindRefused and KindBye: the server's response code if the client may see it (RFC 5530, or ALERT)
	Code string
	// with Code ALERT or LIMIT: the server's text, cleaned and bounded, for the client's user (RFC 9051 section 7.1)
	Text string
	// Crowded says that the server has judged the sign-in and refuses it since the account has too many connections
	// there.
	Crowded bool
	Err     error // the cause; its text may quote the server, cleaned and bounded, and is for logs only
}

// Error implements error.
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	for _, part := range []string{e.Server, e.Phase} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	if e.Err != nil {
		parts = append(parts, e.Err.Error())
	} else {
		parts = append(parts, e.Kind.String())
	}
	return strings.Join(parts, ": ")
}

// ClientError says that a client has gone, or cannot be told that it has to wait. WaitingClient.StillWaits returns
// it.
type ClientError struct{ Err error }

// Error implements error.
func (e *ClientError) Error() string { return "client: " + e.Err.Error() }

// Unwrap returns the cause.
func (e *ClientError) Unwrap() error { return e.Err }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// tryNextCopy says whether another copy of an interchangeable database may do better: the server was not reached. A
// server that took the credential has had its say.
func (e *Error) tryNextCopy() bool { return e.Phase != PhaseSignIn && e.Kind != KindCancelled }

// unresolved reports whether the server's name could not be resolved, which says nothing of the server.
func (e *Error) unresolved() bool {
	var dns *net.DNSError
	return errors.As(e.Err, &dns)
}

// localErrors are what the kernel says when this machine has run out of something, whatever the server does.
var localErrors = []syscall.Errno{
	syscall.EMFILE, syscall.ENFILE, syscall.EADDRNOTAVAIL, syscall.ENOBUFS, syscall.ENOMEM, syscall.EAGAIN,
	syscall.ENOSPC,
}

// IsLocal reports whether this machine has run out of descriptors, ports or memory, which is no other machine's fault.
func IsLocal(err error) bool {
	return slices.ContainsFunc(localErrors, func(local syscall.Errno) bool { return errors.Is(err, local) })
}

// asError returns an error as an *Error, and nil for none.
func asError(err error) *Error {
	var e *Error
	errors.As(err, &e)
	return e
}
