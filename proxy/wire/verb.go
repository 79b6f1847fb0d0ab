package wire

import (
	"math"
	"slices"
	"strings"
)

// Verb is a command's name as a small number. Rare, unknown and invalid verbs share VerbOther, so that a client cannot
// invent metric labels.
type Verb uint8

// The verbs (RFC 9051 section 6, RFC 3501 section 6 and the extensions that clients use). A UID command is a separate
// verb.
const (
	VerbOther Verb = iota
	VerbAppend
	VerbAuthenticate
	VerbCapability
	VerbCheck
	VerbClose
	VerbCompress
	VerbCopy
	VerbCreate
	VerbDelete
	VerbEnable
	VerbExamine
	VerbExpunge
	VerbFetch
	VerbID
	VerbIdle
	VerbList
	VerbLogin
	VerbLogout
	VerbLsub
	VerbMove
	VerbNamespace
	VerbNoop
	VerbRename
	VerbSearch
	VerbSelect
	VerbSort
	VerbStartTLS
	VerbStatus
	VerbStore
	VerbSubscribe
	VerbThread
	VerbUIDCopy
	VerbUIDExpunge
	VerbUIDFetch
	VerbUIDMove
	VerbUIDSearch
	VerbUIDSort
	VerbUIDStore
	VerbUIDThread
	VerbUnauthenticate
	VerbUnselect
	VerbUnsubscribe
	numVerbs
)

// NumVerbs is the number of verbs, for tables indexed by Verb.
const NumVerbs = int(numVerbs)

var verbNames = [numVerbs]string{
	VerbOther:          "other",
	VerbAppend:         "APPEND",
	VerbAuthenticate:   "AUTHENTICATE",
	VerbCapability:     "CAPABILITY",
	VerbCheck:          "CHECK",
	VerbClose:          "CLOSE",
	VerbCompress:       "COMPRESS",
	VerbCopy:           "COPY",
	VerbCreate:         "CREATE",
	VerbDelete:         "DELETE",
	VerbEnable:         "ENABLE",
	VerbExamine:        "EXAMINE",
	VerbExpunge:        "EXPUNGE",
	VerbFetch:          "FETCH",
	VerbID:             "ID",
	VerbIdle:           "IDLE",
	VerbList:           "LIST",
	VerbLogin:          "LOGIN",
	VerbLogout:         "LOGOUT",
	VerbLsub:           "LSUB",
	VerbMove:           "MOVE",
	VerbNamespace:      "NAMESPACE",
	VerbNoop:           "NOOP",
	VerbRename:         "RENAME",
	VerbSearch:         "SEARCH",
	VerbSelect:         "SELECT",
	VerbSort:           "SORT",
	VerbStartTLS:       "STARTTLS",
	VerbStatus:         "STATUS",
	VerbStore:          "STORE",
	VerbSubscribe:      "SUBSCRIBE",
	VerbThread:         "THREAD",
	VerbUIDCopy:        "UID COPY",
	VerbUIDExpunge:     "UID EXPUNGE",
	VerbUIDFetch:       "UID FETCH",
	VerbUIDMove:        "UID MOVE",
	VerbUIDSearch:      "UID SEARCH",
	VerbUIDSort:        "UID SORT",
	VerbUIDStore:       "UID STORE",
	VerbUIDThread:      "UID THREAD",
	VerbUnauthenticate: "UNAUTHENTICATE",
	VerbUnselect:       "UNSELECT",
	VerbUnsubscribe:    "UNSUBSCRIBE",
}

// String returns the verb in upper case, "other" for VerbOther: the value of the metric label command.
func (v Verb) String() string { return verbNames[v] }

// VerbNames lists the verbs except VerbOther, in upper case and sorted.
func VerbNames() []string { return slices.Sorted(slices.Values(verbNames[VerbOther+1:])) }

// MarshalText implements encoding.TextMarshaler.
func (v Verb) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler. A verb that this version does not know is VerbOther.
func (v *Verb) UnmarshalText(text []byte) error {
	*v = VerbOther
	if i := slices.Index(verbNames[:], string(text)); i >= 0 {
		*v = Verb(i)
	}
	return nil
}

// Lower returns the verb in lower case.
func (v Verb) Lower() string { return lowerNames[v] }

var lowerNames = func() (lower [numVerbs]string) {
	for v, name := range verbNames {
		lower[v] = strings.ToLower(name)
	}
	return lower
}()

// isUID says whether the verb is UID and another.
func isUID(v Verb) bool { return strings.HasPrefix(verbNames[v], "UID ") }

// Intercepted says whether the proxy itself answers the verb after sign-in, because it would change the stream so that
// the scanner could not read it.
func (v Verb) Intercepted() bool {
	return v == VerbCompress || v == VerbStartTLS || v == VerbUnauthenticate
}

// maxVerb is the length of the longest verb; a longer word is VerbOther.
const maxVerb = len("UNAUTHENTICATE")

// lookupVerb returns the verb of a word in any case. For the second word of a UID command, uid is true.
func lookupVerb(word []byte, uid bool) Verb {
	if len(word) == 0 || len(word) > maxVerb {
		return VerbOther
	}
	for slot := verbSlot(word, uid); ; slot++ {
		switch e := &verbTable[slot]; {
		case e.verb == VerbOther:
			return VerbOther
		case e.uid == uid && equalFold(word, e.word):
			return e.verb
		}
	}
}

// verbTable is a hash table with open addressing, of 256 slots. A map takes twice as long, for each command.
var verbTable = func() (table [math.MaxUint8 + 1]verbEntry) {
	for v := VerbOther + 1; v < numVerbs; v++ {
		word, uid := strings.CutPrefix(verbNames[v], "UID ")
		slot := verbSlot([]byte(word), uid)
		for table[slot].verb != VerbOther {
			slot++
		}
		table[slot] = verbEntry{word, v, uid}
	}
	return table
}()

type verbEntry struct {
	word string
	verb Verb
	uid  bool // it stands behind UID
}

// verbSlot returns where in the table the search for a word begins. The word is not empty.
func verbSlot(word []byte, uid bool) uint8 {
	n := len(word)
	slot := upperCase(word[0])*7 + upperCase(word[n/2])*31 + upperCase(word[n-1])*3 + uint8(n)*17
	if uid {
		slot += 128
	}
	return slot
}
