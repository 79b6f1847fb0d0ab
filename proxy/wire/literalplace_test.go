package wire

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// follow feeds a command to a Place, byte by byte, and returns the Certainty of its last literal. Lines end in "\n",
// the bytes of a literal stand behind its marker.
func follow(t *testing.T, command string, e Extensions) (Certainty, *LiteralGrammar) {
	t.Helper()
	text := strings.ReplaceAll(command, "\n", "\r\n")
	event, head := commandHead([]byte(text))
	if event != CommandBegin {
		t.Fatalf("%q is no command", command)
	}
	var p LiteralGrammar
	p.Begin(head, []byte(text))
	for {
		at := anyMarker.FindStringSubmatchIndex(text)
		if at == nil {
			t.Fatalf("%q ends behind its literal", command)
		}
		for _, c := range []byte(text[:at[1]]) {
			p.Feed([]byte{c})
		}
		is := p.Literal(e)
		size, err := strconv.Atoi(text[at[2]:at[3]])
		if text = text[at[1]:]; text == "" {
			return is, &p
		}
		if err != nil || size > len(text) {
			t.Fatalf("%q: the literal has less than %d bytes", command, size)
		}
		text = text[size:]
	}
}

var anyMarker = regexp.MustCompile(`\{(\d+)\+?\}\r\n`)

const allExtensions = ^Extensions(0)

// Where the grammar of a verb has a literal, it is certain in front of a server with the extensions that it needs, and
// of no other.
func TestLiteralsThatAreCertain(t *testing.T) {
	date := `"17-Jul-1996 02:44:25 -0700"`
	for needs, commands := range map[Extensions][]string{
		0: {
			"a SELECT {3+}\n", "a EXAMINE {3+}\n", "a CREATE {3+}\n", "a DELETE {3+}\n", "a SUBSCRIBE {3+}\n",
			"a UNSUBSCRIBE {3+}\n", "a STATUS {3+}\n",
			"a RENAME {3+}\n", "a RENAME x {3+}\n", "a RENAME {1+}\nx {3+}\n", "a LSUB {3+}\n",
			"a LSUB \"\" {3+}\n", "a LIST {3+}\n", "a LIST \"\" {3+}\n",
			"a LIST (SUBSCRIBED) \"\" {3+}\n", "a LIST \"\" (% {3+}\n", "a LIST \"\" (\"\" {3+}\n",
			"a select  {3+}\n", "a SELECT {4096+}\n", "a SELECT {0+}\n", "a SELECT {3}\n",
			"a COPY 1:* {3+}\n", "a UID COPY 1 {3+}\n", "a uid copy 1 {3+}\n",
			"a FETCH 1 BODY[HEADER.FIELDS ({3+}\n", "a UID FETCH 1 (FLAGS BODY[HEADER.FIELDS (x {3+}\n",
			"a FETCH 1 (BODY[HEADER.FIELDS (x)]<0.9> BODY[HEADER.FIELDS ({3+}\n",
			"a SEARCH TEXT {3+}\n", "a UID SEARCH OR HEADER {3+}\n", "a SEARCH HEADER x {3+}\n",
			"a SEARCH HEADER {1+}\nx {3+}\n", "a SEARCH CHARSET UTF-8 BCC {3+}\n",
			"a SEARCH NOT (UNSEEN SUBJECT {3+}\n", "a SEARCH KEYWORD TEXT TEXT {3+}\n",
			"a SEARCH 1:* 5 $ TEXT {3+}\n", "a SEARCH (FROM x) TO {3+}\n",
			"a SEARCH RETURN (COUNT TEXT) TEXT {3+}\n", "a SEARCH SINCE 1-Jan-2020 CC {3+}\n",
			"a SEARCH CHARSET {3+}\n",
			"a APPEND {3+}\n", "a APPEND INBOX {3+}\n", "a append x () {3+}\n",
			"a APPEND x (\\Seen \\answered x) {3+}\n", "a APPEND x ( \\Draft ) {3+}\n",
			"a APPEND x " + date + " {3+}\n", "a APPEND x (\\Flagged) " + date + " {3+}\n",
			"a APPEND \"a \\\"b\" {3+}\n", "a APPEND {1+}\nx {3+}\n",
			"a APPEND ~/x {3+}\n", "a APPEND ~ {3+}\n", "a APPEND a*b%\\c {3+}\n",
			"a APPEND \"f\xc3\xbcr\" {3+}\n", "a APPEND x {2147483647+}\n",
			"a APPEND x \" 7-Feb-2001 23:59:60 +0000\" {3+}\n",
			"a APPEND x \"7-Dec-2001 00:00:00 +0000\" {3+}\n",
			"a APPEND x \"29-feb-2024 00:00:00 +0000\" {3+}\n",
			"a APPEND x (" + strings.Repeat("k", 300) + ") {3+}\n",
			"a APPEND " + strings.Repeat("x", 16000) + " {3+}\n",
		},
		Sort: {"a SORT (DATE) {3+}\n", "a UID SORT (DATE) UTF-8 SUBJECT {3+}\n",
			"a SORT RETURN (COUNT) (DATE) {3+}\n", "a SORT (REVERSE DATE) UTF-8 ALL TEXT {3+}\n"},
		Thread: {"a THREAD REFERENCES {3+}\n", "a THREAD REFERENCES UTF-8 BODY {3+}\n",
			"a UID THREAD REFERENCES UTF-8 BODY {3+}\n"},
		Move:   {"a MOVE 1 {3+}\n", "a UID MOVE 1:* {3+}\n"},
		ID:     {"a ID (\"name\" {3+}\n", "a ID ({3+}\n"},
		Notify: {"a NOTIFY SET (MAILBOXES {3+}\n"},
		Quota:  {"a GETQUOTA {3+}\n", "a GETQUOTAROOT {3+}\n", "a SETQUOTA {3+}\n"},
		ACL: {"a GETACL {3+}\n", "a MYRIGHTS {3+}\n", "a LISTRIGHTS x {3+}\n", "a DELETEACL x {3+}\n",
			"a SETACL x y {3+}\n"},
		URLAuth: {"a URLFETCH x y z {3+}\n", "a GENURLAUTH {3+}\n", "a RESETKEY {3+}\n"},
		Metadata: {"a GETMETADATA x {3+}\n", "a GETMETADATA (DEPTH 1) x (/private/x {3+}\n",
			"a SETMETADATA {3+}\n", "a SETMETADATA \"\" (/x {3+}\n", "a SETMETADATA inbox (/x NIL /y {3+}\n"},
		Binary: {"a APPEND x ~{3+}\n"},
		MultiAppend: {"a APPEND x {1+}\nx {3+}\n", "a APPEND x () {1+}\nx (\\Seen) {3+}\n",
			"a APPEND x {1+}\nx " + date + " {3+}\n",
			"a APPEND x {1+}\nx {1+}\ny {3+}\n"},
		Catenate: {"a APPEND x CATENATE (TEXT {3+}\n",
			"a APPEND x (\\Seen) " + date + " catenate ( URL x TEXT {3+}\n", "a APPEND x CATENATE (URL {3+}\n",
			"a APPEND x CATENATE (TEXT {1+}\nx TEXT {3+}\n",
			"a APPEND x CATENATE (URL {1+}\nx URL \"y\" TEXT {3+}\n"},
		Catenate | MultiAppend: {"a APPEND x CATENATE (URL x) {3+}\n",
			"a APPEND x {1+}\nx CATENATE (TEXT {3+}\n"},
		Catenate | Binary: {"a APPEND x CATENATE (TEXT ~{3+}\n"},
	} {
		for _, command := range commands {
			if got, _ := follow(t, command, needs); got != Certain {
				t.Errorf("%.100q: %v with the extensions that it needs", command, got)
			}
			for bit := LiteralPlus; bit <= URLAuth; bit <<= 1 {
				if got, _ := follow(t, command, allExtensions&^bit); (got == Certain) != (needs&bit == 0) {
					t.Errorf("%.100q: %v without extension %b", command, got, bit)
				}
			}
		}
	}
}

// Where servers may read a command in different ways, no literal is certain. Some do not even answer when they are
// asked about it.
func TestLiteralsInDoubt(t *testing.T) {
	for want, commands := range map[Certainty][]string{
		Doubtful: {
			"a NOOP {3+}\n", "a LOGIN {3+}\n", "a XYZZY {3+}\n", "a STORE 1 FLAGS {3+}\n", "a SELECT x {3+}\n",
			"a SELECT {4097+}\n", "a SELECT ~{3+}\n", "a SELECT x{3+}\n", "a SELECT ({3+}\n",
			"a RENAME x y {3+}\n", "a LIST \"\" % {3+}\n", "a LIST (SUBSCRIBED {3+}\n",
			"a LIST (SUBSCRIBED) \"\" % ({3+}\n", "a LIST \"\" % RETURN ({3+}\n", "a STATUS x ({3+}\n",
			"a UID {3+}\n",
			"a  SELECT {3+}\n", "a] SELECT {3+}\n", "a UID  COPY 1 {3+}\n", "a COPY {3+}\n",
			"a COPY 1 x {3+}\n", "a SELECT\t{3+}\n", "a MOVE 1 x {3+}\n",
			"a FETCH {3+}\n", "a FETCH 1 BODY[{3+}\n", "a FETCH 1 (FLAGS {3+}\n",
			"a FETCH 1 BODY[HEADER.FIELDS (x)]{3+}\n", "a FETCH 1 BODY[HEADER.FIELDS (x) {3+}\n",
			"a FETCH 1 (BODY[HEADER.FIELDS (x)] {3+}\n", "a FETCH 1 (BODY[] ({3+}\n",
			"a SEARCH {3+}\n", "a SEARCH UNKEYWORD {3+}\n", "a SEARCH KEYWORD TEXT {3+}\n",
			"a SEARCH FOLDER TEXT {3+}\n", "a SEARCH TEXT x {3+}\n", "a SEARCH (TEXT x {3+}\n",
			"a SEARCH (TEXT ) TEXT {3+}\n",
			"a SEARCH (KEYWORD ) TEXT {3+}\n", "a SEARCH TEXT (x {3+}\n", "a SEARCH KEYWORD (x TEXT {3+}\n",
			"a SEARCH \"x\" TEXT {3+}\n", "a SEARCH \"TEXT\" {3+}\n", "a SEARCH RETURN (TEXT {3+}\n",
			"a SEARCH RETURN TEXT {3+}\n",
			"a SEARCH HEADER x y {3+}\n", "a SEARCH KEYWORD {1+}\nx TEXT {3+}\n",
			"a SEARCH " + strings.Repeat("(", 17) + "TEXT {3+}\n",
			"a SEARCH " + strings.Repeat("T", 300) + " TEXT {3+}\n",
			"a SORT {3+}\n", "a SORT (TEXT {3+}\n", "a SORT (DATE) UTF-8 {3+}\n", "a THREAD {3+}\n",
			"a SEARCH ALL) TEXT {3+}\n", "a SEARCH (ALL)TEXT {3+}\n", "a SEARCH T TEXT {3+}\n",
			"a ID {3+}\n", "a ID NIL {3+}\n", "a NOTIFY {3+}\n", "a SETQUOTA x {3+}\n", "a SETACL x y z {3+}\n",
			"a LISTRIGHTS x y {3+}\n", "a GETQUOTA x {3+}\n",
			"a SETMETADATA x (/y {3+}\n", "a SETMETADATA {5+}\nINBOX (/y {3+}\n",
			"a SETMETADATA \"x\" (/y {3+}\n", "a SETMETADATA INBOX {3+}\n", "a SETMETADATA (x) (/y {3+}\n",
			"a GETMETADATA x y z {3+}\n",
			"a APPEND \"x {3+}\n", "a APPEND \"x\\\" {3+}\n", "a APPEND x {0+}\n", "a APPEND x {2147483648+}\n",
			"a APPEND x {99999999999+}\n", "a APPEND x 0{3+}\n", "a APPEND x\" {3+}\n",
			"a APPEND f\xc3\xbcr {3+}\n",
			"a APPEND a{b {3+}\n", "a APPEND \"a\x7fb\" {3+}\n", "a APPEND \"a\tb\" {3+}\n",
			"a APPEND \"x\"y {3+}\n", "a APPEND (x) {3+}\n", "a APPEND x (\\Bad) {3+}\n",
			"a APPEND x (\\Recent) {3+}\n",
			"a APPEND x (\"x\") {3+}\n",
			"a APPEND x (\\Seen x\\) \"today\" {3+}\n", "a APPEND x ~~{3+}\n", "a APPEND x ~3{3+}\n",
			"a APPEND " + strings.Repeat("x", 17000) + " {3+}\n",
			"a APPEND x CATENATE () {3+}\n", "a APPEND x CATENATE (x {3+}\n", "a APPEND x CATENATE ({3+}\n",
			"a APPEND x CATENATE (TEXT x TEXT {3+}\n", "a APPEND x CATENATE (\"TEXT\" {3+}\n",
			"a REPLACE 1 x {3+}\n", "a UID REPLACE 1 x (\\Seen) {3+}\n",
		},
		Unanswered: {
			"a APPEND x y {3+}\n", "a APPEND x NIL {3+}\n", "a APPEND x (\\Seen) (x) {3+}\n",
			"a APPEND x (\\Seen) y {3+}\n", "a APPEND x ({3+}\n", "a APPEND x (~{3+}\n",
			"a APPEND x CATENATE {3+}\n", "a APPEND x CATENATE y {3+}\n",
			"a APPEND x CATENATE CATENATE (TEXT {3+}\n", "a APPEND x CATENATE \"y\" {3+}\n",
			"a APPEND x \"y\" \"z\" {3+}\n", "a APPEND x {1+}\nx({3+}\n",
			"a APPEND x {1+}\nx y {3+}\n", "a APPEND x ~y {3+}\n", "a APPEND x ({1+}\nx) {3+}\n",
			"a APPEND x CATENATE (URL x)) {3+}\n", "a REPLACE 1 x y {3+}\n",
		},
	} {
		for _, command := range commands {
			if got, _ := follow(t, command, allExtensions); got != want {
				t.Errorf("%.100q: %v, want %v", command, got, want)
			}
		}
	}
}

// A date that a server may refuse leaves a doubt about the literal behind it.
func TestDatesOfMessages(t *testing.T) {
	const good = "17-Jul-1996 02:44:25 -0700"
	dates := map[string]bool{
		good: true, "": false, "today": false, "1-Jan-2026": false, "31-Dec-2040 23:59:60 +9999": true,
		"01-Mar-0000 00:00:00 +0000": true,
		"29-Feb-2023 00:00:00 +0000": false, "28-Feb-2023 00:00:00 +0000": true, good + "0": false,
		good[:len(good)-1]: false,
	}
	for _, change := range []struct {
		at   int
		with string
		want bool
	}{
		{0, "00", false}, {0, " 0", false}, {0, " 1", true}, {0, "  ", false}, {0, "1x", false},
		{0, "x1", false}, {0, "31", true}, {0, "32", false}, {2, " ", false}, {3, "Sep", true},
		{3, "Xyz", false}, {3, "JUL", true},
		{7, "x996", false}, {7, "199x", false}, {7, " 996", false}, {11, "-", false}, {12, "23", true},
		{12, "24", false}, {12, " 2", false}, {14, " ", false}, {15, "59", true}, {15, "60", false},
		{18, "60", true}, {18, "61", false},
		{21, "+", true}, {21, " ", false}, {22, "070x", false}, {22, "x700", false},
	} {
		dates[good[:change.at]+change.with+good[change.at+len(change.with):]] = change.want
	}
	for month, days := range map[string]int{
		"Jan": 31, "Feb": 29, "Mar": 31, "Apr": 30, "May": 31, "Jun": 30, "Jul": 31, "Aug": 31, "Sep": 30, "Oct": 31,
		"Nov": 30, "Dec": 31,
	} {
		dates[fmt.Sprintf("%d-%s-2024 00:00:00 +0000", days, month)] = true
		dates[fmt.Sprintf("%d-%s-2024 00:00:00 +0000", days+1, month)] = false
	}
	for date, want := range dates {
		if got := validDate([]byte(date)); got != want {
			t.Errorf("%q: %v", date, got)
		}
	}
}

// A server's "+" behind a marker allows the literal if the verb takes arguments and has no "+" of its own.
func TestWhoIsAskedForALiteral(t *testing.T) {
	for command, want := range map[string]struct{ mayAsk, known bool }{
		"a SELECT {3}\n": {true, true}, "a NOOP {3}\n": {false, true}, "a IDLE {3}\n": {false, true},
		"a COMPRESS {3}\n": {false, true}, "a CHECK {3}\n": {false, true}, "a LOGOUT {3}\n": {false, true},
		"a AUTHENTICATE {3}\n": {false, true}, "a STARTTLS {3}\n": {false, true},
		"a UNAUTHENTICATE {3}\n": {false, true}, "a CAPABILITY {3}\n": {false, true},
		"a NAMESPACE {3}\n": {false, true}, "a CLOSE {3}\n": {false, true},
		"a EXPUNGE {3}\n": {false, true}, "a UNSELECT {3}\n": {false, true}, "a LOGIN {3}\n": {true, true},
		"a XYZZY {3}\n": {true, false}, "a GETQUOTA {3}\n": {true, true}, "a REPLACE {3}\n": {true, true},
		"a] XYZZY {3}\n": {false, false},
	} {
		_, p := follow(t, command, 0)
		if p.MayAsk() != want.mayAsk || p.Known() != want.known {
			t.Errorf("%q: may ask %v, known %v", command, p.MayAsk(), p.Known())
		}
	}
}
