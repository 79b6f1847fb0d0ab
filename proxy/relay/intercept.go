package relay

import "portico/proxy/wire"

// Portico's own lines. They are sent only where a line of the server may begin.
const (
	byeServerGone = "* BYE [UNAVAILABLE] The mailbox server closed the connection, please try again\r\n"
	byeIdle       = "* BYE Idle for too long\r\n"
	byeDrain      = "* BYE [UNAVAILABLE] Going down for maintenance, please connect again\r\n"
	byeMoved      = "* BYE [UNAVAILABLE] Your mailbox is being moved, please connect again\r\n"
	byeKicked     = "* BYE Session closed by the administrator\r\n"
	byeDoubt      = "* BYE Protocol out of step, please connect again\r\n"
)

// refusal returns Portico's answer to a command that the server must not get. If the server switched to compression,
// to TLS or to another user, the relay could not read the session.
func refusal(verb wire.Verb) string {
	switch verb {
	case wire.VerbCompress:
		return " NO [CANNOT] Compression is not available here\r\n"
	case wire.VerbStartTLS:
		return " BAD STARTTLS is not possible after sign-in\r\n"
	case wire.VerbUnauthenticate:
		return " BAD UNAUTHENTICATE is not available here\r\n"
	}
	return " BAD Tag too long\r\n"
}

func refusalResult(verb wire.Verb) Result {
	if verb == wire.VerbCompress {
		return ResultNO
	}
	return ResultBAD
}
