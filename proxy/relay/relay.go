// Package relay passes the bytes of signed-in sessions between client and mailbox server, and measures every command.
// It takes two connections after sign-in, and owns them from then on.
//
// The relay scans bytes where it read them, and writes them unchanged. The only bytes that it changes are the
// interceptions of intercept.go and the literals of literal.go. session.go interprets a session, tracker.go measures
// its commands, and ending.go decides how it ends; they do no I/O. Two drivers call them: event loops on Linux
// (loop_linux.go), and goroutines on other systems, or if event loops do not work (pump.go).
//
// The package does not know sign-in, routing, configuration, logging or metric libraries.
package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"time"

	"portico/proxy/wire"
)

// End is one of a session's two connections, as the set-up leaves it.
type End struct {
	Conn *Conn
	TLS  *tls.Conn // over Conn, its handshake complete; nil when this end is plain
	Rest []byte    // read from this peer and not used yet: it goes to the other side first
}

// Offers says whether the mailbox server offers what the relay must intercept (COMPRESS, UNAUTHENTICATE). If it does,
// or may, a session in doubt ends and does not become opaque.
type Offers uint8

// The three answers to that question.
const (
	OffersUnknown Offers = iota // no capability list seen since sign-in
	OffersNone
	OffersHidden // COMPRESS or UNAUTHENTICATE was in the list and taken out
)

// Session is a signed-in session for the relay to carry.
type Session struct {
	Server   string // the mailbox server's name, a metric label
	Database string // "" for none
	Listener string
	Client   End
	Upstream End
	Offers   Offers
	// Extensions are those of the mailbox server's last capability list. In front of a server whose list was never
	// seen, a client's non-synchronising literals are turned into synchronising ones.
	Extensions wire.Extensions
	Owner      Owner
}

// Owner is the user of a session, and gets its end.
type Owner interface {
	// User names whose session it is: all commands of a user count together; see Relay.Limit.
	User() string
	// Ended is called exactly once, by the relay's own goroutines: it must neither block nor log.
	Ended(Ending)
}

// Carried describes a session that the relay carries.
type Carried struct {
	Owner    Owner         `json:"-"`
	Commands uint64        // answered so far
	Open     int           // commands in progress
	Idling   bool          // the only open command is an IDLE that waits for mail
	Verb     wire.Verb     // of the oldest open command
	Age      time.Duration // since that began
	Waited   time.Duration // its server time so far
	Oldest   time.Duration // the same if a "+" or an answer is due now; else 0
	Silent   time.Duration // since the client last sent something
	Opaque   bool          // the relay can no longer interpret the session
}

// Ending describes a session that has ended.
type Ending struct {
	Reason      Reason
	ClientBytes uint64 // read from the client, after TLS
	ServerBytes uint64 // read from the mailbox server, after TLS
	Commands    uint64 // ended by an answer
	Opaque      bool   // Portico could no longer interpret the session when it ended
}

// Reason is why a session ended.
type Reason uint8

// The reasons.
const (
	ReasonLogout      Reason = iota // the server said BYE, or both sides closed in order
	ReasonClient                    // the client went away
	ReasonServer                    // the mailbox server went away without BYE
	ReasonIdle                      // the client sent nothing for too long
	ReasonDrain                     // drained, as the process ends
	ReasonMaintenance               // the node goes into maintenance
	ReasonMoved                     // its mailbox is moving to another mailbox server
	ReasonKicked                    // an operator ended it
	ReasonClosed                    // closed by Close
	ReasonDoubt                     // the relay could not follow the session, in front of such an offer
	ReasonError                     // a fault of Portico: a panic, a failing system call
	numReasons
)

var reasonNames = [numReasons]string{"logout", "client", "server", "idle", "drain", "maintenance", "moved", "kicked",
	"closed", "doubt", "error"}

// String returns the reason as metrics and logs show it.
func (r Reason) String() string { return reasonNames[r] }

// Relay carries sessions. Loops and Pumps implement it; all methods are safe for concurrent use.
type Relay interface {
	// Add takes a session and its two connections over, even if it returns an error.
	Add(Session) error
	// Drain ends each session as soon as it has no open command. When ctx ends, it ends the rest. It returns when no
	// session is left. It also drains sessions that are added meanwhile.
	Drain(ctx context.Context)
	// End ends the sessions whose owner pick selects, with or without open commands, spread over about d. It returns
	// when none of them has a connection to a mailbox server. The relay's goroutines call pick, which must not block.
	End(pick func(Owner) bool, r Reason, d time.Duration)
	// Sessions lists the sessions. It does not stop the relay, so sessions that begin or end meanwhile may be missing.
	Sessions() []Carried
	// Slow lists the slowest commands of the last day: some of each mailbox server, verb and hour, in no order.
	Slow() []SlowCommand
	// Close ends every session at once and stops the relay. It returns when all is released.
	Close()
	// Retime changes, while running, the IdleTimeout of all sessions and the KeepAlive of those to come; see Options.
	Retime(idle, keepAlive time.Duration)
	// Rewatch calls Options.Watch again for every session, some at a time, and returns when that is done.
	Rewatch()
	// Limit bounds, while running, the commands of each user, over all sessions: a number each second, and burst at
	// once; 0 a second is no limit. The relay stops reading a user who sends more, until the commands are due. Only
	// event loops implement it.
	Limit(perSecond, burst int)
	// Stats returns a merged copy of everything counted so far.
	Stats() *Stats
}

// ErrClosed is returned for sessions that come after Close.
var ErrClosed = errors.New("relay closed")

// IO selects the system calls with which an event loop receives and sends.
type IO uint8

const (
	IOAuto  IO = iota // IOUring where the kernel allows it, else IOEpoll
	IOEpoll           // one call for each receive and each send
	IOUring           // one call for those of several sessions (io_uring); an error where that is not allowed
)

// Options of a relay. They must be complete; only Watch, Check and FellBack may be missing.
type Options struct {
	Loops       int           // event loops; at least one
	IdleTimeout time.Duration // without a byte from the client
	// for answers after a client's half-close, and for the last bytes of a closing session
	LingerTimeout time.Duration
	KeepAlive     time.Duration // of silence before TCP keep-alives begin
	StallTimeout  time.Duration // that a client may leave sent bytes unread
	UserTimeout   time.Duration // that a mailbox server may leave bytes unread or unacknowledged
	// Watch returns who watches a session's commands, or nil. The relay calls it when a session begins, and by Rewatch.
	// loop is the event loop that carries the session and calls the Watcher; answered is how many commands the session
	// has had. The relay's own goroutines call Watch, so it must not block. If Watch is nil, nobody watches.
	Watch func(loop int, o Owner, answered uint64) Watcher
	// Panicked receives the value of each panic in the relay, and the stack at which it happened. The session in which
	// it happened ends with ReasonError. The relay's own goroutines call it, so it must not block.
	Panicked func(value any, stack []byte)
	// Check returns why event loops do not work here, or nil. If they do not, New starts Pumps, unless IO is IOUring.
	// The default is Check.
	Check func() error
	// FellBack receives the error of Check, once and before New returns. It may be nil.
	FellBack func(reason error)
	// IO selects the system calls with which event loops receive and send.
	IO  IO
	Now func() int64 // monotonic nanoseconds; see Clock
}
