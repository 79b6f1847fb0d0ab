package wire

import "strings"

// shows says what may be shown of a command's arguments. Where nothing else is said these are keywords.
type shows struct {
	sizes     bool  // nothing but their size
	rare      bool  // unless it is one of rareVerbs
	numbers   bool  // and numbers, sequence sets, dates
	sequence  bool  // which come first
	names     uint8 // and this number of mailbox names, not in parentheses
	search    bool  // with search keys, some of which have a text behind them
	pairs     bool  // ID's names and values
	mechanism bool  // a SASL mechanism, and nothing of what is behind it
}

var (
	onlySizes  = shows{sizes: true}
	oneMailbox = shows{names: 1, numbers: true}
	searchKeys = shows{numbers: true, search: true}
	sequence   = shows{numbers: true, sequence: true}
	toMailbox  = shows{numbers: true, sequence: true, names: 1}
)

// policies holds it for each verb.
var policies = [numVerbs]shows{
	VerbOther:        {sizes: true, rare: true},
	VerbLogin:        onlySizes,
	VerbAuthenticate: {mechanism: true},
	VerbID:           {pairs: true},

	VerbAppend: oneMailbox, VerbCreate: oneMailbox, VerbDelete: oneMailbox, VerbExamine: oneMailbox,
	VerbSelect: oneMailbox,
	VerbStatus: oneMailbox, VerbSubscribe: oneMailbox, VerbUnsubscribe: oneMailbox,
	VerbList: {names: 2}, VerbLsub: {names: 2}, VerbRename: {names: 2},

	VerbCopy: toMailbox, VerbMove: toMailbox, VerbUIDCopy: toMailbox, VerbUIDMove: toMailbox,
	VerbFetch: sequence, VerbStore: sequence, VerbUIDExpunge: sequence, VerbUIDFetch: sequence, VerbUIDStore: sequence,

	VerbSearch: searchKeys, VerbSort: searchKeys, VerbThread: searchKeys,
	VerbUIDSearch: searchKeys, VerbUIDSort: searchKeys, VerbUIDThread: searchKeys,
}

// rareVerb is a command that shares VerbOther but is shown with its name.
type rareVerb struct {
	name  string
	shows shows
}

var rareVerbs = func() map[string]rareVerb {
	known := make(map[string]rareVerb)
	for shows, names := range map[shows]string{
		{names: 1}: "GETQUOTA GETQUOTAROOT SETQUOTA GETACL SETACL DELETEACL LISTRIGHTS MYRIGHTS",
		{names: 2}: "RLIST RLSUB XLIST",
		{}:         "NOTIFY",
		onlySizes: "CANCELUPDATE COMPARATOR CONVERSIONS CONVERT ESEARCH GENURLAUTH GETANNOTATION GETJMAPACCESS " +
			"GETMETADATA LANGUAGE REPLACE " +
			"RESETKEY SETANNOTATION SETMETADATA URLFETCH XAPPLEPUSHSERVICE",
	} {
		for name := range strings.FieldsSeq(names) {
			known[name] = rareVerb{strings.ToLower(name), shows}
		}
	}
	return known
}()

// keyword is a word of IMAP's own.
type keyword struct {
	name  string
	texts uint8 // as a search key: how many strings of the client's follow
}

// keyword returns the keyword that a word of the arguments is. An unknown word gets one without a name.
func (s shows) keyword(word []byte, first bool) keyword {
	var room [maxToken]byte
	upper := room[:0]
	for _, c := range word {
		upper = append(upper, upperCase(c))
	}
	if s.mechanism {
		if first {
			return keyword{name: mechanismNames[string(upper)]}
		}
		return keyword{}
	}
	return keywords[string(upper)]
}

// keywords are those of RFC 9051, RFC 3501 and the extensions that clients use. Searching's begin with those that have
// texts.
var keywords = func() map[string]keyword {
	known := make(map[string]keyword)
	for texts, names := range []string{`
ALL ANSWERED BEFORE DELETED DRAFT FLAGGED LARGER NEW NOT OLD ON OR RECENT SEEN SENTBEFORE SENTON SENTSINCE SINCE SMALLER UID UNANSWERED
UNDELETED UNDRAFT UNFLAGGED UNSEEN OLDER YOUNGER MODSEQ FUZZY SAVEDBEFORE SAVEDON SAVEDSINCE SAVEDATESUPPORTED X-GM-MSGID X-GM-THRID
RETURN SAVE COUNT MIN MAX PARTIAL CONTEXT UPDATE CHARSET UTF-8 US-ASCII ISO-8859-1 RELEVANCY
ARRIVAL DATE DISPLAYFROM DISPLAYTO REVERSE SIZE ORDEREDSUBJECT REFERENCES REFS
FAST FULL BODY.PEEK BODYSTRUCTURE BINARY BINARY.PEEK BINARY.SIZE ENVELOPE FLAGS INTERNALDATE RFC822 RFC822.HEADER RFC822.SIZE RFC822.TEXT
HEADER.FIELDS HEADER.FIELDS.NOT MIME CHANGEDSINCE VANISHED UNCHANGEDSINCE PREVIEW LAZY SAVEDATE X-GM-LABELS OBJECTID
+FLAGS -FLAGS FLAGS.SILENT +FLAGS.SILENT -FLAGS.SILENT +X-GM-LABELS -X-GM-LABELS
$Forwarded $MDNSent $Junk $NotJunk $Phishing $Important $Submitted $SubmitPending Junk NonJunk NotJunk
MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ DELETED-STORAGE APPENDLIMIT MAILBOXID
SUBSCRIBED REMOTE RECURSIVEMATCH SPECIAL-USE CHILDREN STATUS MYRIGHTS METADATA
CONDSTORE QRESYNC UTF8 UTF8=ACCEPT UTF8=ONLY IMAP4REV1 IMAP4REV2 DEFLATE NIL CATENATE URL USE
SET NONE SELECTED SELECTED-DELAYED INBOXES PERSONAL SUBTREE MAILBOXES MESSAGENEW MESSAGEEXPUNGE FLAGCHANGE MAILBOXNAME
SUBSCRIPTIONCHANGE ANNOTATIONCHANGE MAILBOXMETADATACHANGE SERVERMETADATACHANGE
Content-Type Content-Transfer-Encoding Content-Disposition Date In-Reply-To List-Id List-Post List-Unsubscribe Message-Id Priority
Received Reply-To Return-Path Sender References Importance X-Priority X-Mailer X-Spam-Status Delivered-To Newsgroups MIME-Version
`, `BCC BODY CC FROM KEYWORD SUBJECT TEXT TO UNKEYWORD X-GM-RAW FILTER EMAILID THREADID`, `HEADER ANNOTATION`} {
		for name := range strings.FieldsSeq(names) {
			if upper := strings.ToUpper(name); known[upper].name == "" {
				known[upper] = keyword{name, uint8(texts)}
			}
		}
	}
	for _, name := range []string{
		`\Answered`, `\Deleted`, `\Draft`, `\Flagged`, `\Seen`, `\Recent`, `\All`, `\Archive`, `\Drafts`, `\Important`,
		`\Junk`, `\Sent`, `\Trash`, `\Inbox`,
	} {
		known[strings.ToUpper(name)] = keyword{name: name}
	}
	return known
}()

var mechanismNames = func() map[string]string {
	known := make(map[string]string)
	for name := range strings.FieldsSeq("PLAIN LOGIN EXTERNAL ANONYMOUS CRAM-MD5 DIGEST-MD5 GSSAPI GS2-KRB5 NTLM " +
		"OAUTHBEARER XOAUTH2 " +
		"SCRAM-SHA-1 SCRAM-SHA-1-PLUS SCRAM-SHA-256 SCRAM-SHA-256-PLUS SCRAM-SHA-512 SCRAM-SHA-512-PLUS") {
		known[name] = name
	}
	return known
}()

// idNames are the names in ID whose values are shown: what program the client is (RFC 2971 section 3.3).
var idNames = map[string]bool{"name": true, "version": true, "vendor": true, "os": true, "os-version": true}

var months = func() map[string]bool {
	known := make(map[string]bool)
	for month := range strings.FieldsSeq("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec") {
		known[month], known[strings.ToUpper(month)], known[strings.ToLower(month)] = true, true, true
	}
	return known
}()
