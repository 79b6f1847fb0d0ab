package proxy

import (
	"github.com/rs/zerolog"
)

// Outcome is the result of a command before sign-in, or of a session's set-up. It is a closed list; each has one row
// in the table below. An Outcome is also an error, so that a phase can return it, alone or wrapped.
type Outcome uint8

// The outcomes. The zero value stands for an unexpected error.
const (
	OutcomeInternal Outcome = iota // a fault of Portico
	OutcomePanic                   // a panic

	OutcomeSignedIn   // handed over to the relay
	OutcomeLogout     // the client said LOGOUT
	OutcomeClientGone // the client closed or reset the connection
	OutcomeTimeout    // the client was silent or slow for too long
	OutcomeDraining   // Portico is shutting down

	OutcomeLimitTotal    // too many connections
	OutcomeLimitAddress  // too many connections from this client address
	OutcomeLimitUnsigned // too many connections before sign-in
	OutcomeLimitUser     // too many connections of this user

	OutcomeLimitUnsignedAddress // too many connections before sign-in from this client address
	OutcomeGaveWay              // silent longest when there were too many connections
	OutcomeGaveWayAddress       // the same, of those from this client address
	OutcomeGaveWayResources     // the same, when Portico had no descriptors or memory left
	// waited for a directory or a mailbox server then, and longest of the address with most connections
	OutcomeGaveWayWaiting

	OutcomeNoDescriptors // the descriptors left are kept back for probes and operators

	OutcomeOutOfService // an operator, or health, has taken this node out of service

	OutcomeProxyHeader     // no header of the PROXY protocol from where one is due
	OutcomeTLSHandshake    // the client's TLS handshake failed
	OutcomeTLSBroken       // the client's TLS broke after the handshake
	OutcomePlainOnTLS      // plain text where TLS is spoken from the first byte
	OutcomeTLSOnPlain      // TLS where plain text is spoken first
	OutcomePrivacyRequired // a password without TLS, refused by login_type

	OutcomeSyntax         // not an IMAP command
	OutcomeUnknownCommand // an unknown command
	OutcomeNotBefore      // a command that is valid only after sign-in
	OutcomeNoStartTLS     // STARTTLS where it is not offered, or a second time
	OutcomeNoMechanism    // AUTHENTICATE with a mechanism that is not offered
	OutcomeBase64         // a SASL response that is no base64
	OutcomeBadSASL        // a SASL response that is no answer to its challenge
	OutcomeCancelled      // AUTHENTICATE, cancelled by the client
	OutcomeTooLong        // a line, literal or command beyond its limit
	OutcomeHTTP           // a request line of HTTP
	OutcomeTooManyBad     // the last of too many bad commands
	OutcomeTooManyFailed  // the last of too many failed sign-ins

	OutcomeBadCredential    // the mailbox server refused the user's credential
	OutcomeTooManyGuesses   // wrong credentials from this client address
	OutcomeBadUser          // a user name that cannot be one
	OutcomeNotAuthorized    // who signed in may not open that mailbox
	OutcomeNoMailbox        // no database for this user
	OutcomeDisabled         // the directory says that this user must not sign in
	OutcomeDirectoryDown    // the directory does not answer
	OutcomeNoActiveCopy     // no server holds an active copy
	OutcomeServerResting    // the mailbox server has failed too often
	OutcomeNoResources      // we have no descriptors, ports or memory left for a connection
	OutcomeDial             // no connection to the mailbox server
	OutcomeServerTLS        // no TLS with the mailbox server
	OutcomeServerGreeting   // a greeting of the mailbox server that cannot be trusted
	OutcomeServerProtocol   // the mailbox server broke the protocol during sign-in
	OutcomeServerTimeout    // the mailbox server was too slow
	OutcomeServerClosed     // the mailbox server closed the connection
	OutcomeServerMechanism  // the mailbox server offers no mechanism that could carry the credential
	OutcomeServerRefused    // the mailbox server refused the sign-in for a reason of its own
	OutcomeLoop             // passed on from proxy to proxy too often
	OutcomeOwnCredential    // the mailbox server refused our own credential
	OutcomeRelayUnavailable // the relay did not take the session
	numOutcomes
)

// reply is the kind of answer: its status, and whether it carries the command's tag.
type reply uint8

const (
	replyNone reply = iota // nothing, or nobody there to read it
	replyNO                // tagged
	replyBAD               // tagged; untagged when the tag could not be read
	replyBYE               // untagged
)

// charge is what an outcome costs a client that continues.
type charge uint8

const (
	chargeNone charge = iota
	chargeBad         // one of Limits.BadCommands
	// one of Limits.FailedSignIns, and an authentication delay: a credential was verified, or a server refused by
	// itself
	chargeFailed
)

// row says everything that follows from an outcome; report does it.
type row struct {
	label  string // metric label
	log    string // text for the log
	level  zerolog.Level
	reply  reply
	code   string // response code (RFC 5530), or ""
	text   string
	charge charge
	ends   bool // the connection is over
}

// Texts for clients that must not learn more. There is one text for all wrong credentials, so that nobody can find out
// which users exist, and one for all faults of mailbox servers and directories.
const (
	textBadCredential = "Authentication failed."
	textUnavailable   = "Temporary failure, try again later."
	textRefused       = "Sign-in refused."
	textTooMany       = "Too many connections."
	textGaveWay       = "Too many connections, try again."
	textSASL          = "Invalid response to the challenge."
)

// unavailable has a charge, because each try has cost a connection to a mailbox server, or the wait for one.
func unavailable(label, log string) row {
	return row{label: label, log: log, level: zerolog.WarnLevel, reply: replyNO, code: "UNAVAILABLE",
		text: textUnavailable, charge: chargeBad}
}

func badCredential(label, log string) row {
	return row{label: label, log: log, level: zerolog.InfoLevel, reply: replyNO, code: "AUTHENTICATIONFAILED",
		text: textBadCredential, charge: chargeFailed}
}

func badCommand(label, log, text string) row {
	return row{label: label, log: log, level: zerolog.DebugLevel, reply: replyBAD, text: text, charge: chargeBad}
}

func limited(label, log string) row {
	return row{label: label, log: log, level: zerolog.WarnLevel, reply: replyBYE, code: "LIMIT",
		text: textTooMany, ends: true}
}

func goodbye(label, log, text string) row {
	return row{label: label, log: log, level: zerolog.InfoLevel, reply: replyBYE, text: text, ends: true}
}

// gaveWay is at level debug, because a flood may end any number of such connections.
func gaveWay(label, log string) row {
	return row{label: label, log: log, level: zerolog.DebugLevel, reply: replyBYE, code: "UNAVAILABLE",
		text: textGaveWay, ends: true}
}

func silent(label, log string, level zerolog.Level) row {
	return row{label: label, log: log, level: level, ends: true}
}

// Limits are labelled with the name of their setting.
var outcomes = [numOutcomes]row{
	OutcomeInternal: {label: "internal_error", log: "internal error", level: zerolog.ErrorLevel,
		reply: replyBYE, code: "SERVERBUG", text: "Internal error.", ends: true},
	OutcomePanic: {label: "panic", log: "panic", level: zerolog.ErrorLevel,
		reply: replyBYE, code: "SERVERBUG", text: "Internal error.", ends: true},

	OutcomeSignedIn:   silent("signed_in", "signed in", zerolog.InfoLevel),
	OutcomeLogout:     silent("logout", "logged out before sign-in", zerolog.DebugLevel),
	OutcomeClientGone: silent("client_gone", "client closed the connection before sign-in", zerolog.DebugLevel),
	OutcomeTimeout:    goodbye("timeout", "client took too long to sign in", "Sign-in took too long."),
	OutcomeDraining: {label: "draining", log: "closed before sign-in: shutting down", level: zerolog.InfoLevel,
		reply: replyBYE, code: "UNAVAILABLE", text: "Shutting down, try again.", ends: true},

	OutcomeLimitTotal:    limited("max_connections", "refused: too many connections"),
	OutcomeLimitAddress:  limited("max_connection_from_single_ip", "refused: too many connections from this address"),
	OutcomeLimitUnsigned: limited("max_unauthenticated_connections", "refused: too many connections before sign-in"),
	OutcomeLimitUser: {label: "max_connections_per_user", log: "sign-in refused: too many connections of this user",
		level: zerolog.WarnLevel, reply: replyNO, code: "LIMIT", text: "Too many connections of this user.",
		charge: chargeBad},

	OutcomeLimitUnsignedAddress: limited("max_unauthenticated_connections_from_single_ip",
		"refused: too many connections before sign-in from this address"),
	OutcomeGaveWay: gaveWay("gave_way", "closed for a new connection: too many connections before sign-in"),
	OutcomeGaveWayAddress: gaveWay("gave_way_from_single_ip",
		"closed for a new connection: too many connections before sign-in from this address"),
	OutcomeGaveWayResources: gaveWay("gave_way_no_resources",
		"closed for a new connection: no descriptors or memory left"),
	OutcomeGaveWayWaiting: gaveWay("gave_way_waiting",
		"closed for a new connection while its sign-in waited: too many connections before sign-in"),

	OutcomeNoDescriptors: {label: "no_descriptors", log: "refused: no descriptors left for clients",
		level: zerolog.ErrorLevel,
		reply: replyBYE, code: "UNAVAILABLE", text: textGaveWay, ends: true},

	OutcomeOutOfService: {label: "out_of_service", log: "refused: out of service", level: zerolog.InfoLevel,
		reply: replyBYE, code: "UNAVAILABLE", text: "Out of service, try again.", ends: true},

	OutcomeProxyHeader: silent("proxy_header", "trusted proxy sent a bad PROXY protocol header, or none",
		zerolog.WarnLevel),

	OutcomeTLSHandshake: silent("tls_handshake", "TLS handshake with client failed", zerolog.DebugLevel),
	OutcomeTLSBroken:    silent("tls_broken", "TLS with client failed after the handshake", zerolog.DebugLevel),
	OutcomePlainOnTLS: goodbye("plain_on_tls_port", "client speaks plain text on a TLS port",
		"This port requires TLS."),
	OutcomeTLSOnPlain: goodbye("tls_on_plain_port", "client speaks TLS on a plain port",
		"This port does not start with TLS."),
	OutcomePrivacyRequired: {label: "privacy_required", log: "sign-in refused: TLS required first",
		level: zerolog.InfoLevel, reply: replyNO, code: "PRIVACYREQUIRED", text: "Start TLS before you sign in.",
		charge: chargeBad},

	OutcomeSyntax:         badCommand("syntax", "bad command", "Syntax error."),
	OutcomeUnknownCommand: badCommand("unknown_command", "unknown command", "Unknown command."),
	OutcomeNotBefore: badCommand("not_before_signin", "command not valid before sign-in",
		"Command not valid before sign-in."),
	OutcomeNoStartTLS: badCommand("no_starttls", "STARTTLS not available", "STARTTLS is not available."),
	OutcomeNoMechanism: {label: "no_mechanism", log: "authentication mechanism not offered", level: zerolog.DebugLevel,
		reply: replyNO, code: "CANNOT", text: "Authentication mechanism not available.", charge: chargeBad},
	OutcomeBase64: badCommand("base64", "response is not base64", textSASL),
	// as servers answer it
	OutcomeBadSASL: {label: "bad_sasl", log: "SASL response does not match the mechanism", level: zerolog.DebugLevel,
		reply: replyNO, code: "AUTHENTICATIONFAILED", text: textBadCredential, charge: chargeBad},
	OutcomeCancelled: badCommand("cancelled", "authentication cancelled by the client", "Authentication cancelled."),
	OutcomeTooLong: {label: "too_long", log: "command too long", level: zerolog.InfoLevel,
		reply: replyBYE, code: "LIMIT", text: "Command too long.", ends: true},
	OutcomeHTTP:          goodbye("http", "client speaks HTTP", "This is not a web server."),
	OutcomeTooManyBad:    goodbye("too_many_bad_commands", "too many bad commands", "Too many bad commands."),
	OutcomeTooManyFailed: goodbye("too_many_failed_signins", "too many failed sign-ins", "Too many failed sign-ins."),

	OutcomeBadCredential: badCredential("bad_credential", "sign-in refused: bad credential"),
	OutcomeTooManyGuesses: {label: "too_many_guesses",
		log:   "sign-in not checked: too many wrong credentials from this address",
		level: zerolog.InfoLevel, reply: replyNO, code: "UNAVAILABLE", text: textUnavailable, charge: chargeFailed},
	OutcomeBadUser: badCredential("bad_user", "sign-in refused: not a user name"),
	OutcomeNotAuthorized: {label: "not_authorized", log: "sign-in refused: not authorized for that mailbox",
		level: zerolog.InfoLevel,
		reply: replyNO, code: "AUTHORIZATIONFAILED", text: "Not authorized for that mailbox.", charge: chargeFailed},
	OutcomeNoMailbox: badCredential("no_mailbox", "sign-in refused: no mailbox for this user"),
	OutcomeDisabled:  badCredential("user_disabled", "sign-in refused: the directory refuses this user"),

	OutcomeDirectoryDown: unavailable("directory_down", "sign-in failed: directory unavailable"),
	OutcomeNoActiveCopy:  unavailable("no_active_copy", "sign-in failed: no active copy of the database"),
	OutcomeServerResting: unavailable("server_breaker_open",
		"sign-in failed: circuit breaker of the mailbox server is open"),
	OutcomeNoResources: {label: "no_resources",
		log:   "sign-in failed: no descriptors, ports or memory left for a connection",
		level: zerolog.ErrorLevel, reply: replyNO, code: "UNAVAILABLE", text: textUnavailable, charge: chargeBad},
	OutcomeDial:           unavailable("server_dial", "sign-in failed: cannot connect to the mailbox server"),
	OutcomeServerTLS:      unavailable("server_tls", "sign-in failed: no TLS connection to the mailbox server"),
	OutcomeServerGreeting: unavailable("server_greeting", "sign-in failed: bad greeting from the mailbox server"),
	OutcomeServerProtocol: unavailable("server_protocol", "sign-in failed: mailbox server broke the protocol"),
	OutcomeServerTimeout:  unavailable("server_timeout", "sign-in failed: mailbox server too slow"),
	OutcomeServerClosed:   unavailable("server_closed", "sign-in failed: mailbox server closed the connection"),
	OutcomeServerMechanism: unavailable("server_mechanism",
		"sign-in failed: mailbox server offers no usable mechanism"),
	OutcomeServerRefused: {label: "server_refused", log: "sign-in refused by the mailbox server",
		level: zerolog.WarnLevel,
		reply: replyNO, code: "UNAVAILABLE", text: textUnavailable, charge: chargeFailed},
	OutcomeLoop: unavailable("proxy_loop",
		"sign-in refused: forwarding loop, the mailbox server seems to be a proxy that leads back here"),
	OutcomeOwnCredential: unavailable("own_credential",
		"sign-in failed: mailbox server refused Portico's own credential"),
	OutcomeRelayUnavailable: silent("relay", "sign-in failed: the relay did not accept the session",
		zerolog.ErrorLevel),
}

func (o Outcome) row() *row { return &outcomes[o] }

// verdict returns Exchange's word for the result of a sign-in, or "" if Exchange has none (docs/exchange.md).
func (o Outcome) verdict() string {
	switch {
	case o == OutcomeSignedIn:
		return "ProxySuccess"
	case o == OutcomeLimitUser:
		return "UserConnectionLimitReached"
	case o == OutcomeDisabled, o == OutcomeNotAuthorized:
		return "LogonDenied"
	case o.row().charge == chargeFailed:
		return "ProxyNotAuthenticated"
	}
	return ""
}

// Error makes an Outcome an error.
func (o Outcome) Error() string { return outcomes[o].log }

// String returns the outcome as metrics show it.
func (o Outcome) String() string { return outcomes[o].label }

// appendAnswer appends the answer of a row, under tag where it is a tagged one. An empty code or text is left out.
func appendAnswer(dst []byte, r reply, tag, code, text string) []byte {
	if r == replyNone {
		return dst
	}
	if tag == "" || r == replyBYE {
		tag = "*"
	}
	dst = append(dst, tag...)
	switch r {
	case replyNO:
		dst = append(dst, " NO "...)
	case replyBAD:
		dst = append(dst, " BAD "...)
	case replyBYE:
		dst = append(dst, " BYE "...)
	}
	if code != "" {
		dst = append(dst, '[')
		dst = append(dst, code...)
		dst = append(dst, "] "...)
	}
	dst = append(dst, text...)
	return append(dst, "\r\n"...)
}
