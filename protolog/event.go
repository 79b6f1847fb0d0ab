package protolog

import (
	"net/netip"
	"time"

	"portico/proxy/wire"
)

// Session is the session that a row is about, as rows show it. It does not change, and its events share it. Log.Session
// makes one.
type Session struct {
	id      string
	local   string // the address that the client has connected to
	client  string
	user    string // "" until authenticated
	mailbox string // the mailbox server's name; "" until routed
	subject Subject
}

// Subject is what is known of a session; rules match it. It never leaves the process.
type Subject struct {
	ID     string // 16 hexadecimal digits
	User   string // canonical; "" if not known yet
	Server string // the mailbox server's name; "" if not known yet
	Client netip.AddrPort
	Local  netip.AddrPort // the address that it has connected to
}

// User returns the user as rows show it.
func (s *Session) User() string { return s.user }

// Anonymous returns the session without its user, as rows before sign-in show it.
func (s *Session) Anonymous() *Session {
	anonymous := *s
	anonymous.user = ""
	return &anonymous
}

// knownAs returns the session with another subject: rows look the same, and more rules may match.
func (s *Session) knownAs(known Subject) *Session {
	found := *s
	found.subject = known
	return &found
}

// Event is something that a session has done. No field can hold a secret: only wire's mask makes Parameters, code and
// text come from a server's answer that can repeat nothing of the client's, and the proxy makes the rest.
type Event struct {
	Session    *Session
	Time       time.Time
	Number     uint32 // of the session's events, logged or not
	Duration   time.Duration
	Request    uint64 // bytes
	Response   uint64
	Command    string // in lower case; or OpenSession, CloseSession, Proxy
	Parameters wire.Shown

	Result Result
	code   words
	text   words
	Rows   int32  // responses with data
	Msg    string // a remark of the proxy
	Err    string
	Phases *Phases // nil but for sign-ins

	given *Match // who has the event already
	file  bool   // rules want it in the files; otherwise only tails want it
}

// Events that are not commands.
const (
	OpenSession  = "OpenSession"
	CloseSession = "CloseSession"
	Proxy        = "Proxy"
)

// Result is a row's R=.
type Result uint8

// The results. None is not shown.
const (
	None Result = iota
	OK
	NO
	BAD
	BYE
	Aborted // the session ended first
)

var resultNames = [...]string{OK: "OK", NO: "NO", BAD: "BAD", BYE: "BYE", Aborted: "ABORTED"}

// Phases are the parts of a sign-in. A part that did not happen is zero.
type Phases struct {
	Directory, Dial, TLS, Greeting, SignIn time.Duration
}

// words is a short text. A longer one is cut.
type words struct {
	n    uint8
	text [100]byte
}

func (w *words) set(p []byte) { w.n = uint8(copy(w.text[:], p)) }

func (w *words) bytes() []byte { return w.text[:w.n] }

// Answer sets the answer of a server, or of the proxy. text must not repeat anything of the client's.
func (e *Event) Answer(r Result, code, text []byte) {
	e.Result = r
	e.code.set(code)
	e.text.set(text)
}
