package admin

import (
	"fmt"
	"io"
)

// mask is what a token prints as, whatever its length.
const mask = "*****"

// Token is a bearer token (RFC 6750 section 2.1); "" is none. However it is printed or encoded, it shows as *****.
type Token string

// Format implements fmt.Formatter, for every verb.
func (Token) Format(f fmt.State, _ rune) { io.WriteString(f, mask) }

// String implements fmt.Stringer, for those that do not print by fmt.
func (Token) String() string { return mask }

// MarshalText implements encoding.TextMarshaler; encoders of JSON and YAML use it too.
func (Token) MarshalText() ([]byte, error) { return []byte(mask), nil }
