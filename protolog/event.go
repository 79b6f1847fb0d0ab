package protolog

import (
	"net/netip"
	"time"

	"portico/proxy/wire"
)

// Session is whose rows are written. It does not change, and is shared by its events. Log.Session makes one.
type Session struct {
	id      string
	local   string // where the client has connected to
	client  string
	user    string // "" until authenticated
	mailbox string // the mailbox server's name; "" until routed
	subject Subject
}

// Subject is what rules go by. It never leaves the process.
type Subject struct {
	ID     string // 16 hexadecimal digits
	User   string // canonical; "" if not known yet
	Server string // the mailbox server's name; "" if not known yet
	Client netip.AddrPort
	Local  netip.AddrPort // where it has connected to
}

// User returns the user as rows show it.
func (s *Session) User() string { return s.user }

// Anonymous returns the session as it is shown before anybody is signed in.
func (s *Session) Anonymous() *Session {
	anonymous := *s
	anonymous.user = ""
	return &anonymous
}

// of returns the session as it is shown, to be found by what has become known of it.
func (s *Session) of(known Subject) *Session {
	found := *s
	found.subject = known
	return &found
}

// Event is something that a session has done. It has no field that could hold a secret: Parameters can only be made by
// wire's mask, Code and Text come from a server where they can repeat nothing of the client's, and the rest is the
// proxy's own.
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
	Msg    string // the proxy's own words
	Err    string
	Phases *Phases // nil but for sign-ins

	given *Match // who has it already
	file  bool   // rules want it in the files; else only somebody who watches
}

// Events that are no commands.
const (
	OpenSession  = "OpenSession"
	CloseSession = "CloseSession"
	Proxy        = "Proxy"
)

// Result is what R= says.
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

// Phases are the parts of a sign-in; zero where there was none.
type Phases struct {
	Directory, Dial, TLS, Greeting, SignIn time.Duration
}

// words is a short text, cut where it is longer.
type words struct {
	n    uint8
	text [100]byte
}

func (w *words) set(p []byte) { w.n = uint8(copy(w.text[:], p)) }

func (w *words) bytes() []byte { return w.text[:w.n] }

// Answer sets what a server, or the proxy, has answered. Of text nothing may be the client's.
func (e *Event) Answer(r Result, code, text []byte) {
	e.Result = r
	e.code.set(code)
	e.text.set(text)
}
