// Package secret has the type of passwords and tokens. It stands beneath everything that handles them and knows none
// of it.
package secret

import (
	"fmt"
	"io"
)

// Mask is what every secret prints as, whatever its length.
const Mask = "*****"

// Value is a password or token. However it is printed or encoded, it shows as *****; only Reveal gives it away.
type Value string

// Reveal returns the secret itself.
func (v Value) Reveal() string { return string(v) }

// String implements fmt.Stringer.
func (Value) String() string { return Mask }

// GoString implements fmt.GoStringer.
func (Value) GoString() string { return Mask }

// Format implements fmt.Formatter, so that verbs such as %x and %d print nothing either.
func (Value) Format(f fmt.State, _ rune) { io.WriteString(f, Mask) }

// MarshalText implements encoding.TextMarshaler.
func (Value) MarshalText() ([]byte, error) { return []byte(Mask), nil }

// MarshalJSON implements json.Marshaler.
func (Value) MarshalJSON() ([]byte, error) { return []byte(`"` + Mask + `"`), nil }
