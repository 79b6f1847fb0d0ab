package backend

import (
	"fmt"
	"io"
)

// mask is what every secret prints as, whatever its length.
const mask = "*****"

// Secret is a password or token. However it is printed or encoded, it shows as *****; only Reveal gives it away.
type Secret string

// Reveal returns the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (Secret) String() string { return mask }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return mask }

// Format implements fmt.Formatter, so that verbs such as %x and %d print nothing either.
func (Secret) Format(f fmt.State, _ rune) { io.WriteString(f, mask) }

// MarshalText implements encoding.TextMarshaler.
func (Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// MarshalJSON implements json.Marshaler.
func (Secret) MarshalJSON() ([]byte, error) { return []byte(`"` + mask + `"`), nil }
