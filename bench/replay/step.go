package replay

import (
	"fmt"
	"math/bits"
	"slices"
	"strconv"
	"strings"
)

// Verb is the kind of a step.
type Verb uint8

// The verbs. A command that is none of them is Other, which is played as NOOP.
const (
	Other Verb = iota
	SignIn
	Capability
	Noop
	ID
	Namespace
	List
	Status
	Select
	Examine
	FetchFlags   // FETCH without headers and bodies
	FetchHeaders // FETCH with headers or structures, without bodies
	FetchBody
	Store
	Copy
	Expunge
	Close
	Search
	SearchText // SEARCH within bodies
	Append
	Idle // begins it
	Done // ends it
	Logout
	Drop // the connection is closed without LOGOUT
	numVerbs
)

var verbNames = [numVerbs]string{
	"other", "sign-in", "capability", "noop", "id", "namespace", "list", "status", "select", "examine", "fetch-flags",
	"fetch-headers", "fetch-body", "store", "copy", "expunge", "close", "search", "search-text", "append", "idle",
	"done", "logout", "drop",
}

// String returns the name that files have.
func (v Verb) String() string { return verbNames[v] }

// Ends reports whether the connection is closed by the verb.
func (v Verb) Ends() bool { return v == Logout || v == Drop }

// Limits of a step.
const (
	maxBytes    = 1 << 30
	maxMessages = 1 << 20
)

// Step is one command.
type Step struct {
	Verb     Verb
	Bytes    uint32 // of the answer to a FETCH, or of the message of an APPEND; 0 for other verbs
	Messages uint32 // that a FETCH has answered with; 0 for other verbs
}

// String returns the form in files: the verb, then ":BYTES" and "*MESSAGES" if they are not 0.
func (s Step) String() string {
	text := s.Verb.String()
	if s.Bytes > 0 {
		text += ":" + strconv.FormatUint(uint64(s.Bytes), 10)
	}
	if s.Messages > 0 {
		text += "*" + strconv.FormatUint(uint64(s.Messages), 10)
	}
	return text
}

// MarshalText implements encoding.TextMarshaler.
func (s Step) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (s *Step) UnmarshalText(text []byte) error {
	rest, messages, many := strings.Cut(string(text), "*")
	name, bytes, sized := strings.Cut(rest, ":")
	verb := slices.Index(verbNames[:], name)
	if verb < 0 {
		return fmt.Errorf("step %.40q: the verb is none of %s", text, strings.Join(verbNames[:], ", "))
	}
	*s = Step{Verb: Verb(verb)}
	if sized && !parseBounded(bytes, maxBytes, &s.Bytes) {
		return fmt.Errorf("step %.40q: must be 1 to %d bytes", text, maxBytes)
	}
	if many && !parseBounded(messages, maxMessages, &s.Messages) {
		return fmt.Errorf("step %.40q: must be 1 to %d messages", text, maxMessages)
	}
	return nil
}

func parseBounded(text string, most uint64, value *uint32) bool {
	n, err := strconv.ParseUint(text, 10, 32)
	*value = uint32(n)
	return err == nil && n > 0 && n <= most && text[0] != '+'
}

// rounded returns n with two significant digits: enough for a load, and files stay small.
func rounded(n uint64) uint64 {
	unit := uint64(1)
	for n/unit >= 100 {
		unit *= 10
	}
	return (n + unit/2) / unit * unit
}

// powerOfTwo returns the power of two at or above n, and 0 for 0.
func powerOfTwo(n uint32) uint32 {
	if n == 0 {
		return 0
	}
	return 1 << bits.Len32(n-1)
}
