package wire

import (
	"errors"
	"fmt"
)

// ErrCancelled is a client's "*" in place of a SASL response (RFC 9051 section 6.2.2).
var ErrCancelled = errors.New("authentication cancelled by the client")

// ErrBase64 is a SASL response that is no base64 (RFC 4648 section 4).
var ErrBase64 = errors.New("not base64")

// SyntaxError is the error of a command or response that is not valid IMAP. The reader is behind it, and can continue.
type SyntaxError struct {
	Tag    string // as far as it could be read; may be empty
	Pos    int    // offset in the command, from 0
	Reason string
}

func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Pos) }

// LimitError is the error of a text longer than its limit. The reader cannot continue: the connection has to end.
type LimitError struct {
	What  string // "line", "literal", "command", "SASL response", "response"
	Limit int    // bytes
}

func (e *LimitError) Error() string { return fmt.Sprintf("%s longer than %d bytes", e.What, e.Limit) }
