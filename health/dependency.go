package health

import (
	"crypto/tls"
	"errors"
	"net"

	"portico/backend"
)

// Dependency is what a failure blames, in Exchange's words (docs/exchange.md).
type Dependency string

// The dependencies. None is for what is well, and for faults of our own that have no name.
const (
	None            Dependency = ""
	ActiveDirectory Dependency = "Active Directory" // the directory of users
	Authentication  Dependency = "Authentication"   // a user's credential, or who judges it
	// our own credential or certificate, or how one mailbox server judges
	MailboxServerAuthentication Dependency = "Mailbox Server Authentication"
	HighAvailability            Dependency = "High Availability" // no active copy, or it moves
	Networking                  Dependency = "Networking"        // no connection, no TLS, no answer
	// the mailbox behind a sign-in that worked
	InformationStore Dependency = "Information Store"
	// Portico itself: out of descriptors, ports or memory, or its store fails
	Portico Dependency = "Portico"
)

var ofKind = map[backend.Kind]Dependency{
	backend.KindNoMailbox:     ActiveDirectory,
	backend.KindDisabled:      ActiveDirectory,
	backend.KindDirectory:     ActiveDirectory,
	backend.KindNoActiveCopy:  HighAvailability,
	backend.KindResting:       Networking,
	backend.KindLocal:         Portico,
	backend.KindDial:          Networking,
	backend.KindTLS:           Networking,
	backend.KindGreeting:      Networking,
	backend.KindNoMechanism:   Authentication,
	backend.KindBadCredential: Authentication,
	backend.KindRefused:       Authentication,
	backend.KindNotAuthorized: Authentication,
	backend.KindOwnCredential: MailboxServerAuthentication,
	backend.KindProtocol:      Networking,
	backend.KindBye:           Authentication,
	backend.KindClosed:        Networking,
	backend.KindTimeout:       Networking,
	backend.KindCancelled:     Networking,
}

// The phases of what only people can mend.
const (
	PhaseCertificate = "certificate" // a certificate, ours or a mailbox server's, is refused
	PhaseResolve     = "resolve"     // a mailbox server's name leads to no address
	PhaseAppend      = "append"      // a mailbox server that reads mail takes none
)

// blame finds the dependency and the phase of an error of the mailbox servers' side.
func blame(err error) (d Dependency, phase string) {
	var known *backend.Error
	if !errors.As(err, &known) {
		return None, ""
	}
	d, phase = ofKind[known.Kind], known.Phase
	var certificate *tls.CertificateVerificationError
	var name *net.DNSError
	switch {
	case errors.As(err, &certificate):
		phase = PhaseCertificate
	case phase == backend.PhaseDial && errors.As(err, &name):
		phase = PhaseResolve
	}
	return d, phase
}

// failure blames d for an error, unless this machine has run out of something: that is nobody else's fault.
func failure(d Dependency, phase string, err error) *Failure {
	if backend.IsLocal(err) {
		d = Portico
	}
	return &Failure{d, phase, err}
}

// Failure is an error that says whom it blames.
type Failure struct {
	Dependency Dependency
	Phase      string
	Err        error
}

// Error implements error.
func (f *Failure) Error() string { return f.Phase + ": " + f.Err.Error() }

// Unwrap returns the cause.
func (f *Failure) Unwrap() error { return f.Err }
