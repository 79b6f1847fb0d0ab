package wire

// Verb is a command's name as a small number. Verbs that are rare, unknown or nonsense share VerbOther, so that a client can
// not invent metric labels.
type Verb uint8

// The verbs told apart (RFC 9051 section 6, RFC 3501 section 6 and the extensions clients use). A UID command is a verb of
// its own.
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

// NumVerbs is the number of verbs told apart, for tables indexed by Verb.
const NumVerbs = int(numVerbs)

var verbNames = [numVerbs]string{
	"other", "APPEND", "AUTHENTICATE", "CAPABILITY", "CHECK", "CLOSE", "COMPRESS", "COPY", "CREATE", "DELETE", "ENABLE",
	"EXAMINE", "EXPUNGE", "FETCH", "ID", "IDLE", "LIST", "LOGIN", "LOGOUT", "LSUB", "MOVE", "NAMESPACE", "NOOP", "RENAME",
	"SEARCH", "SELECT", "SORT", "STARTTLS", "STATUS", "STORE", "SUBSCRIBE", "THREAD", "UID COPY", "UID EXPUNGE", "UID FETCH",
	"UID MOVE", "UID SEARCH", "UID SORT", "UID STORE", "UID THREAD", "UNAUTHENTICATE", "UNSELECT", "UNSUBSCRIBE",
}

// String returns the verb in upper case, "other" for VerbOther: the value of the metric label command.
func (v Verb) String() string { return verbNames[v] }

// maxVerb is the length of the longest name; a longer word is VerbOther.
const maxVerb = len("UNAUTHENTICATE")

// lookupVerb finds a word in any case. A UID command's second word is looked up with uid set.
func lookupVerb(word []byte, uid bool) Verb {
	if len(word) == 0 || len(word) > maxVerb {
		return VerbOther
	}
	var upper [maxVerb]byte
	for i, c := range word {
		upper[i] = upperCase(c)
	}
	if uid {
		return uidVerb(string(upper[:len(word)]))
	}
	return plainVerb(string(upper[:len(word)]))
}

func plainVerb(name string) Verb {
	switch name {
	case "APPEND":
		return VerbAppend
	case "AUTHENTICATE":
		return VerbAuthenticate
	case "CAPABILITY":
		return VerbCapability
	case "CHECK":
		return VerbCheck
	case "CLOSE":
		return VerbClose
	case "COMPRESS":
		return VerbCompress
	case "COPY":
		return VerbCopy
	case "CREATE":
		return VerbCreate
	case "DELETE":
		return VerbDelete
	case "ENABLE":
		return VerbEnable
	case "EXAMINE":
		return VerbExamine
	case "EXPUNGE":
		return VerbExpunge
	case "FETCH":
		return VerbFetch
	case "ID":
		return VerbID
	case "IDLE":
		return VerbIdle
	case "LIST":
		return VerbList
	case "LOGIN":
		return VerbLogin
	case "LOGOUT":
		return VerbLogout
	case "LSUB":
		return VerbLsub
	case "MOVE":
		return VerbMove
	case "NAMESPACE":
		return VerbNamespace
	case "NOOP":
		return VerbNoop
	case "RENAME":
		return VerbRename
	case "SEARCH":
		return VerbSearch
	case "SELECT":
		return VerbSelect
	case "SORT":
		return VerbSort
	case "STARTTLS":
		return VerbStartTLS
	case "STATUS":
		return VerbStatus
	case "STORE":
		return VerbStore
	case "SUBSCRIBE":
		return VerbSubscribe
	case "THREAD":
		return VerbThread
	case "UNAUTHENTICATE":
		return VerbUnauthenticate
	case "UNSELECT":
		return VerbUnselect
	case "UNSUBSCRIBE":
		return VerbUnsubscribe
	}
	return VerbOther
}

func uidVerb(name string) Verb {
	switch name {
	case "COPY":
		return VerbUIDCopy
	case "EXPUNGE":
		return VerbUIDExpunge
	case "FETCH":
		return VerbUIDFetch
	case "MOVE":
		return VerbUIDMove
	case "SEARCH":
		return VerbUIDSearch
	case "SORT":
		return VerbUIDSort
	case "STORE":
		return VerbUIDStore
	case "THREAD":
		return VerbUIDThread
	}
	return VerbOther
}
