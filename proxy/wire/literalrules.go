package wire

import "math"

// literalRule says where the grammar of a verb has strings that may be literals. A server that knows the verb reads all
// of them before it refuses one, whether a mailbox is selected or not.
type literalRule struct {
	from, to uint8 // these arguments, counted from 0
	lists    listRule
	search   bool       // the strings behind search keys
	replaces bool       // after its first argument it is as APPEND
	needs    Extensions // any of them; the server does not know the verb otherwise
}

// listRule says in which lists any element may be a literal.
type listRule uint8

const (
	listsOfNone listRule = iota
	listsOfAll           // of the command
	// if INBOX is the mailbox, or none: servers refuse others that they do not have before they have read the list
	listsOfInbox
	listsOfNames  // LIST's second argument: a server may stop reading at a string among the options
	listsOfFields // in the brackets of BODY[]
)

// literalRules are those of the verbs that Verb distinguishes. APPEND has a grammar of its own, see appendStep. LOGIN
// and AUTHENTICATE have none after sign-in.
var literalRules = [numVerbs]literalRule{
	VerbSelect:      {to: 1},
	VerbExamine:     {to: 1},
	VerbCreate:      {to: 1},
	VerbDelete:      {to: 1},
	VerbSubscribe:   {to: 1},
	VerbUnsubscribe: {to: 1},
	VerbStatus:      {to: 1},
	VerbRename:      {to: 2},
	VerbLsub:        {to: 2},
	VerbList:        {to: 2, lists: listsOfNames},
	VerbID:          {lists: listsOfAll, needs: ID},
	VerbFetch:       {lists: listsOfFields},
	VerbUIDFetch:    {lists: listsOfFields},
	VerbCopy:        {from: 1, to: 2},
	VerbUIDCopy:     {from: 1, to: 2},
	VerbMove:        {from: 1, to: 2, needs: Move},
	VerbUIDMove:     {from: 1, to: 2, needs: Move},
	VerbSearch:      {search: true},
	VerbUIDSearch:   {search: true},
	VerbSort:        {from: 1, to: 2, search: true, needs: Sort}, // the character set
	VerbUIDSort:     {from: 1, to: 2, search: true, needs: Sort},
	VerbThread:      {from: 1, to: 2, search: true, needs: Thread},
	VerbUIDThread:   {from: 1, to: 2, search: true, needs: Thread},
}

// extensionRules are those of verbs that share VerbOther.
var extensionRules = [...]struct {
	word string
	rule literalRule
}{
	{"GETMETADATA", literalRule{to: 3, lists: listsOfAll, needs: Metadata}},
	{"SETMETADATA", literalRule{to: 1, lists: listsOfInbox, needs: Metadata}},
	{"GETQUOTA", literalRule{to: 1, needs: Quota}},
	{"GETQUOTAROOT", literalRule{to: 1, needs: Quota}},
	{"SETQUOTA", literalRule{to: 1, needs: Quota}},
	{"GETACL", literalRule{to: 1, needs: ACL}},
	{"MYRIGHTS", literalRule{to: 1, needs: ACL}},
	{"LISTRIGHTS", literalRule{to: 2, needs: ACL}},
	{"DELETEACL", literalRule{to: 2, needs: ACL}},
	{"SETACL", literalRule{to: 3, needs: ACL}},
	{"NOTIFY", literalRule{lists: listsOfAll, needs: Notify}},
	{"URLFETCH", literalRule{to: math.MaxUint8, needs: URLAuth}}, // Cyrus says "+" in the middle of a line here
	{"REPLACE", literalRule{replaces: true}},
	{"UID REPLACE", literalRule{replaces: true}},
	{"GENURLAUTH", literalRule{to: 1, needs: URLAuth}},
	{"RESETKEY", literalRule{to: 1, needs: URLAuth}},
}

// extensionRule returns the rule of a verb that shares VerbOther, and whether it has one.
func extensionRule(word []byte) (literalRule, bool) {
	for _, v := range extensionRules {
		if equalFold(word, v.word) {
			return v.rule, true
		}
	}
	return literalRule{}, false
}
