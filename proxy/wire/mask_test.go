package wire

import (
	"strings"
	"testing"
)

// maskOf feeds a whole command, in pieces of the given size, and returns its name and what may be shown.
func maskOf(t testing.TB, command string, size int) (name, shown string, all bool) {
	t.Helper()
	p := []byte(command)
	_, event, head := new(CommandScanner).Next(p)
	if event != CommandBegin {
		t.Fatalf("%q is no command: event %d", command, event)
	}
	var m Mask
	m.Begin(head)
	for len(p) > 0 {
		n := min(size, len(p))
		m.Feed(p[:n])
		p = p[n:]
	}
	shown = m.End().String()
	return m.Name(head.Verb), shown, m.ShownAll()
}

func TestMask(t *testing.T) {
	for _, test := range []struct{ command, want string }{
		{"a NOOP\r\n", "noop"},
		{"a noop \r\n", "noop"},
		{"a CAPABILITY\n", "capability"},
		{"a SELECT INBOX\r\n", "select INBOX"},
		{"a select \"Sent Items\" (CONDSTORE)\r\n", `select "Sent Items" (CONDSTORE)`},
		{"a SELECT \"a \\\"b\\\" \\\\c\"\r\n", `select "a \"b\" \\c"`},
		{"a SELECT {5}\r\nINBOX\r\n", "select {5}"},
		{"a SELECT {5+}\r\nINBOX (condstore)\r\n", "select {5} (CONDSTORE)"},
		{"a SELECT [Gmail]/Trash\r\n", "select [Gmail]/Trash"},
		{"a SELECT Entw\xc3\xbcrfe\r\n", `select Entw\xc3\xbcrfe`},
		{"a SELECT INBOX (QRESYNC (67890007 20050715194045000 41,43:211))\r\n",
			"select INBOX (QRESYNC (67890007 20050715194045000 41,43:211))"},
		{"a RENAME old \"new name\"\r\n", `rename old "new name"`},
		{"a LIST \"\" \"*\" RETURN (SUBSCRIBED CHILDREN)\r\n", `list "" "*" RETURN (SUBSCRIBED CHILDREN)`},
		{"a LIST (SUBSCRIBED) \"\" %\r\n", `list (SUBSCRIBED) "" %`},
		{"a STATUS All (messages unseen)\r\n", "status All (MESSAGES UNSEEN)"},
		{"a FETCH 1:* (FLAGS UID body.peek[header.fields (From Subject X-Secret)]<0.2048>)\r\n",
			"fetch 1:* (FLAGS UID BODY.PEEK[HEADER.FIELDS (FROM SUBJECT {8})]<0.2048>)"},
		{"a UID FETCH 5,7:9 (FLAGS) (CHANGEDSINCE 12345 VANISHED)\r\n",
			"uid fetch 5,7:9 (FLAGS) (CHANGEDSINCE 12345 VANISHED)"},
		{"a FETCH 1 (BODY<0.5> BODY[HEADER] BODY[HEADER.FIELDS(FROM)])\r\n",
			"fetch 1 (BODY<0.5> BODY[HEADER] BODY[HEADER.FIELDS(FROM)])"},
		{"a FETCH hunter2 FLAGS\r\n", "fetch {7} FLAGS"},
		{"a STORE 3 +FLAGS.SILENT (\\Deleted $Junk hunter2 4711)\r\n",
			`store 3 +FLAGS.SILENT (\Deleted $Junk {7} {4})`},
		{"a UID STORE 1:3 -flags \\seen\r\n", `uid store 1:3 -FLAGS \Seen`},
		{"a COPY 1:3 2024\r\n", "copy 1:3 2024"},
		{"a UID MOVE 7 \"Sent Items\"\r\n", `uid move 7 "Sent Items"`},
		{"a COPY hunter2 Trash\r\n", "copy {7} Trash"},
		{"a SEARCH UNSEEN SINCE 1-Feb-2024 FROM smith\r\n", "search UNSEEN SINCE 1-Feb-2024 FROM {5}"},
		{"a SEARCH SINCE 1-Feb-20hunter2 BEFORE 1-Feb-2024\r\n", "search SINCE {15} BEFORE 1-Feb-2024"},
		{"a SEARCH SINCE 111-Feb-2024 BEFORE -Feb-2024 ON 12-Feb-2024\r\n",
			"search SINCE {12} BEFORE {9} ON 12-Feb-2024"},
		{"a APPEND Sent \"01-Feb-2024 10:00:00 -0500\" {1}\r\nx\r\n", `append Sent "01-Feb-2024 10:00:00 -0500" {1}`},
		{"a SEARCH CHARSET UTF-8 TEXT {7}\r\nhunter2 UID 1:5\r\n", "search CHARSET UTF-8 TEXT {7} UID 1:5"},
		{"a SEARCH TEXT 123456 LARGER 5000\r\n", "search TEXT {6} LARGER 5000"},
		{"a SEARCH HEADER Message-Id \"<x@y>\" 1:7\r\n", "search HEADER {10} {5} 1:7"},
		{"a SEARCH UID \"1:5\" ALL\r\n", "search UID {3} ALL"},
		{"a SEARCH FROM ALL TO UNSEEN\r\n", "search FROM {3} TO {6}"},
		{"a SEARCH X-OURS 123456 UID 5\r\n", "search {6} {6} UID 5"},
		{"a SEARCH hunter2\r\n", "search {7}"},
		{"a UID SORT (REVERSE DATE) UTF-8 SUBJECT \"hunter2\"\r\n", "uid sort (REVERSE DATE) UTF-8 SUBJECT {7}"},
		{"a APPEND Sent (\\Seen hunter2) \"01-Feb-2024 10:00:00 +0100\" {310}\r\n" + strings.Repeat("x", 310) + "\r\n",
			`append Sent (\Seen {7}) "01-Feb-2024 10:00:00 +0100" {310}`},
		{"a APPEND Sent CATENATE (URL \"imap://x;AUTH=*@y/\" TEXT {3}\r\nabc)\r\n",
			"append Sent CATENATE (URL {18} TEXT {3})"},
		{"a ENABLE CONDSTORE X-HUNTER2\r\n", "enable CONDSTORE {9}"},
		{"a ID (\"name\" \"Thunderbird\" \"version\" {5}\r\n115.3 \"x-token\" \"hunter2\")\r\n",
			`id ("name" "Thunderbird" "version" {5} {7} {7})`},
		{"a ID NIL\r\n", "id {3}"},
		{"a LOGIN ann hunter2\r\n", "login {11}"},
		{"a LOGIN {3}\r\nann {7+}\r\nhunter2\r\n", "login {18}"},
		{"a AUTHENTICATE PLAIN AGFubgBodW50ZXIy\r\n", "authenticate PLAIN"},
		{"a AUTHENTICATE plain\r\n", "authenticate PLAIN"},
		{"a AUTHENTICATE hunter2\r\n", "authenticate {7}"},
		{"a AUTHENTICATE PLAIN PLAIN\r\n", "authenticate PLAIN"},
		{"a XYZZY hunter2 1:5\r\n", "other {11}"},
		{"a XYZZY\r\n", "other"},
		{"a " + strings.Repeat("X", maxToken+1) + " hunter2\r\n", "other {7}"},
		{"a GETQUOTA1 hunter2\r\n", "other {9}"},
		{"hunter2 hunter2\r\n", "other {1}"}, // the verb ends where a letter does
		{"a GETQUOTAROOT INBOX\r\n", "getquotaroot INBOX"},
		{"a SETACL INBOX hunter2 lrs\r\n", "setacl INBOX {7} {3}"},
		{"a SETMETADATA INBOX (/private/comment \"hunter2\")\r\n", "setmetadata {34}"},
		{"a GENURLAUTH \"imap://x\" INTERNAL\r\n", "genurlauth {19}"},
		{"a UID XYZZY hunter2\r\n", "other {13}"},
		{"a NOOP hunter2\r\n", "noop {7}"},
		{"a SEARCH TEXT hun{4}\r\nter2 UNSEEN\r\n", "search TEXT {6}{4} UNSEEN"},
		{"a SELECT IN{3}\r\nBOX\r\n", "select IN{3}{3}"},
		{"a FETCH 1 {7 \r\n", "fetch 1 {2}"},
		{"a SELECT \"never closed\r\n", `select "never closed"`},
		{"a SELECT " + strings.Repeat("x", 70) + "\r\n", "select " + strings.Repeat("x", 64) + "..."},
		{"a UID FETCH " + strings.Repeat("1234,", 100) + "1 FLAGS\r\n",
			"uid fetch " + strings.Repeat("1234,", 12) + "1234... FLAGS"},
		{"a FETCH 1 (" + strings.Repeat("ENVELOPE ", 50) + ")\r\n",
			"fetch 1 (" + strings.Repeat("ENVELOPE ", 20) + "ENVELOPE ENVEL..."},
	} {
		for _, size := range []int{1 << 20, 1, 3, 7} {
			name, shown, _ := maskOf(t, test.command, size)
			got := name
			if shown != "" {
				got += " " + shown
			}
			if got != test.want {
				t.Errorf("%.60q in pieces of %d: %q, want %q", test.command, size, got, test.want)
			}
		}
	}
}

// A session may end in the middle of a command: what has come is shown.
func TestMaskOfACommandThatIsCut(t *testing.T) {
	const command = "a SELECT INBOX"
	_, _, head := new(CommandScanner).Next([]byte(command + "\r\n"))
	var m Mask
	m.Begin(head)
	m.Feed([]byte(command))
	if shown := m.End().String(); shown != "INBOX" {
		t.Errorf("%q", shown)
	}
}

func TestShownAll(t *testing.T) {
	for command, want := range map[string]bool{
		"a SELECT INBOX\r\n":         true,
		"a SELECT {5}\r\nINBOX\r\n":  false,
		"a SEARCH FROM x\r\n":        false,
		"a LOGIN ann hunter2\r\n":    false,
		"a FETCH 1 (FLAGS UID)\r\n":  true,
		"a FETCH 1 (FLAGS hunter)\n": false,
	} {
		if _, _, all := maskOf(t, command, 100); all != want {
			t.Errorf("%q: all shown is %v", command, all)
		}
	}
}

func TestShownOfOurs(t *testing.T) {
	for _, test := range []struct {
		got  Shown
		want string
	}{
		{ShownLogin("ann@example.org"), "ann@example.org *****"},
		{ShownLogin("b\x1b\xc3\xbc"), `b\x1b\xc3\xbc *****`},
		{ShownLogin(strings.Repeat("u", 300)), strings.Repeat("u", maxShown-6) + " *****"},
		{ShownName("mbx1"), "mbx1"},
		{ShownName("\x00\x1f ~\x7f\x80\xff"), `\x00\x1f ~\x7f\x80\xff`},
		{ShownName(strings.Repeat("m", maxShown+1)), strings.Repeat("m", maxShown)},
		{ShownName(strings.Repeat("m", maxShown-3) + "\x7fm"), strings.Repeat("m", maxShown-3)},
	} {
		if got := test.got.String(); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

// What is shown does not depend on how the command is cut, is printable and bounded, and no text of the client's is in
// it but where a mailbox's name belongs.
func FuzzMask(f *testing.F) {
	for _, seed := range []string{
		"SELECT INBOX", "LIST \"\" *", "FETCH 1 (FLAGS BODY[HEADER.FIELDS (To)]<0.5>)",
		"UID SEARCH TEXT hunter2 UID 1:5", "LOGIN ann hunter2",
		"APPEND Sent (\\Seen) {3+}\r\nabc (x) {2}\r\nhi", "ID (\"name\" NIL \"x\" \"y\")", "XYZZY {5}\r\nabcde",
		"STORE 1 +FLAGS (hunter2 5)",
	} {
		f.Add(seed, 3)
	}
	f.Fuzz(func(t *testing.T, text string, size int) {
		command := "a " + text + "\r\n"
		if _, event, _ := new(CommandScanner).Next([]byte(command)); event != CommandBegin {
			return
		}
		name, whole, all := maskOf(t, command, len(command))
		if again, pieces, all2 := maskOf(t, command, max(1, size%50)); pieces != whole || again != name ||
			all != all2 {
			t.Fatalf("%q whole, %q in pieces", whole, pieces)
		}
		if len(whole) > maxShown {
			t.Fatalf("%d bytes", len(whole))
		}
		for _, c := range []byte(whole) {
			if c < ' ' || c >= 0x7f {
				t.Fatalf("%q is not printable", whole)
			}
		}
		const secret = "hunter2"
		if !strings.Contains(text, secret) {
			return
		}
		switch word, _, _ := strings.Cut(name, " "); {
		case strings.Contains(name, "copy"), strings.Contains(name, "move"), word == "append", word == "create",
			word == "delete", word == "examine",
			word == "select", word == "status", word == "subscribe", word == "unsubscribe", word == "list", word ==
				"lsub", word == "rename", word == "id",
			policyOf(name).names > 0:
		default:
			if strings.Contains(whole, secret) {
				t.Fatalf("%q shows %q", text, whole)
			}
		}
	})
}

// policyOf finds a rare command's.
func policyOf(name string) shows { return rareVerbs[strings.ToUpper(name)].shows }

func BenchmarkMask(b *testing.B) {
	command := []byte("a123 UID FETCH 1:100 (FLAGS UID RFC822.SIZE BODY.PEEK[HEADER.FIELDS (From To Subject " +
		"Date)])\r\n")
	_, _, head := new(CommandScanner).Next(command)
	var m Mask
	b.ReportAllocs()
	for b.Loop() {
		m.Begin(head)
		m.Feed(command)
		m.End()
	}
}
