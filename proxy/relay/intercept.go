package relay

import "portico/proxy/wire"

// The proxy's own lines. They go in where a line of the server might begin, and nowhere else.
const (
	byeServerGone = "* BYE [UNAVAILABLE] The mailbox server closed the connection, please try again\r\n"
	byeIdle       = "* BYE Idle for too long\r\n"
	byeDrain      = "* BYE [UNAVAILABLE] Going down for maintenance, please connect again\r\n"
	byeMoved      = "* BYE [UNAVAILABLE] Your mailbox is being moved, please connect again\r\n"
	byeKicked     = "* BYE Session closed by the administrator\r\n"
	byeDoubt      = "* BYE Protocol out of step, please connect again\r\n"
)

// refusal returns what the proxy says to a command that it does not let through. A server that switched to
// compression, to TLS or to another user would leave the relay blind.
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
