package backend

import (
	"hash/maphash"
	"sync"
	"time"
)

// OutcomeWindow is the time that SigninOutcomes covers. A failure is recent in its later half.
const OutcomeWindow = time.Minute

const (
	outcomeSlots = 12      // of a window
	slotUsers    = 1024    // counted of one server in a slot; more are left out
	knownUsers   = 100_000 // users who have signed in, at most; the half that was not seen for longer is forgotten
	slotTime     = OutcomeWindow / outcomeSlots
	slotsKept    = outcomeSlots + 1 // slots
)

// SigninOutcomes counts successes and failures of users' sign-ins, by mailbox server. It counts only failures that the
// server has caused: no refused passwords, no limits of an account, nothing that the client or this machine caused. It
// counts only users who have signed in before, so strangers cannot make a server look as if it fails or works. It keeps
// no names. It lives as long as the program, and is safe for concurrent use.
type SigninOutcomes struct {
	now  func() time.Time
	seed maphash.Seed

	mu       sync.Mutex             // guards the rest
	known    [2]map[uint64]struct{} // who has signed in: lately, and before that
	byServer map[string]*serverOutcomes
}

// serverOutcomes are the outcomes at one mailbox server.
type serverOutcomes struct {
	slots     [slotsKept]outcomeSlot
	failed    time.Time // the latest failure
	last      *Error    // that one's
	succeeded time.Time // the latest success
	since     int       // successes since the latest failure
}

// outcomeSlot counts the sign-ins of a part of the window.
type outcomeSlot struct {
	number  int64                   // of the slot, in time
	users   map[uint64]userOutcomes // by the hash of the name
	between int                     // failures after a success that came after another failure
}

// userOutcomes counts the sign-ins of one user.
type userOutcomes struct{ succeeded, failed uint32 }

// SigninSummary counts the sign-ins of users to one mailbox server in the last OutcomeWindow.
type SigninSummary struct {
	Users   int     // with at least one sign-in
	Failing int     // with at least one failed sign-in
	Share   float64 // of failed sign-ins, from 0 to 1: the mean of the users' own shares
	Failed  time.Time
	Last    *Error // of the latest failure, at Failed; nil for none
	// Succeeded is the time of the latest success, which may be older than the window.
	Succeeded time.Time
	SignIns   int // of all users
	Failures  int // of all users
	Since     int // successes since the latest failure
	Between   int // failures after a success that came after another failure
}

// Missing returns how many failures to expect since the latest one if sign-ins still failed as often as before it.
func (t SigninSummary) Missing() float64 {
	return float64(t.Since*t.Failures) / float64(max(t.SignIns-t.Since, t.Failures, 1))
}

// Mixed says whether the server takes some sign-ins and fails others. A server that has died takes none.
func (t SigninSummary) Mixed() bool { return t.Between >= 2 }

// NewSigninOutcomes returns counters without any outcome.
func NewSigninOutcomes(now func() time.Time) *SigninOutcomes {
	return &SigninOutcomes{now: now, seed: maphash.MakeSeed(), byServer: make(map[string]*serverOutcomes)}
}

// Record counts the outcome of a user's sign-in to a server: nil is a success.
func (o *SigninOutcomes) Record(server, user string, e *Error) {
	fails := e != nil
	if fails && !e.serversFault() {
		return
	}
	id, now := maphash.String(o.seed, user), o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !fails {
		o.learn(id)
	} else if !o.knows(id) {
		return
	}
	at := o.byServer[server]
	if at == nil {
		at = &serverOutcomes{}
		o.byServer[server] = at
	}
	between := fails && at.since > 0 && now.Sub(at.failed) < OutcomeWindow
	counted := at.count(id, fails, between, now)
	switch {
	case fails:
		at.failed, at.last, at.since = now, e, 0
	case counted:
		at.succeeded = now
		at.since++
	default:
		at.succeeded = now
	}
}

// learn records that a user has signed in. The caller holds mu.
func (o *SigninOutcomes) learn(id uint64) {
	if o.known[0] == nil || len(o.known[0]) >= knownUsers/2 {
		o.known[0], o.known[1] = make(map[uint64]struct{}), o.known[0]
	}
	o.known[0][id] = struct{}{}
}

// knows says whether a user has signed in. The caller holds mu.
func (o *SigninOutcomes) knows(id uint64) bool {
	_, lately := o.known[0][id]
	_, before := o.known[1][id]
	return lately || before
}

// count counts a sign-in in its slot, and says whether there is room for that.
func (s *serverOutcomes) count(id uint64, fails, between bool, now time.Time) bool {
	number := now.UnixNano() / int64(slotTime)
	slot := &s.slots[number%slotsKept]
	if slot.number != number || slot.users == nil {
		slot.number, slot.users, slot.between = number, make(map[uint64]userOutcomes), 0
	}
	if between {
		slot.between++
	}
	e, counted := slot.users[id]
	if !counted && len(slot.users) >= slotUsers {
		return false
	}
	if fails {
		e.failed++
	} else {
		e.succeeded++
	}
	slot.users[id] = e
	return true
}

// Of sums up the outcomes at a mailbox server.
func (o *SigninOutcomes) Of(server string) (sum SigninSummary) {
	now := o.now()
	o.mu.Lock()
	defer o.mu.Unlock()
	at := o.byServer[server]
	if at == nil {
		return sum
	}
	sum.Succeeded, sum.Since = at.succeeded, at.since
	oldest := now.Add(-OutcomeWindow).UnixNano() / int64(slotTime)
	users := make(map[uint64]userOutcomes)
	for _, slot := range at.slots {
		if slot.number <= oldest {
			continue
		}
		for id, e := range slot.users {
			users[id] = userOutcomes{users[id].succeeded + e.succeeded, users[id].failed + e.failed}
		}
		sum.Between += slot.between
	}
	for _, e := range users {
		if e.failed > 0 {
			sum.Failing++
		}
		sum.Share += float64(e.failed) / float64(e.succeeded+e.failed)
		sum.SignIns += int(e.succeeded + e.failed)
		sum.Failures += int(e.failed)
	}
	sum.Users = len(users)
	sum.Share /= float64(max(sum.Users, 1))
	if sum.Failing > 0 {
		sum.Failed, sum.Last = at.failed, at.last
	}
	return sum
}

// serversFault says whether a user's sign-in failed because of the server, not because of the user's credential or
// account, the client or this machine. The codes are those of RFC 5530.
func (e *Error) serversFault() bool {
	switch e.Kind {
	case KindDial, KindTLS, KindGreeting, KindResting, KindProtocol, KindClosed, KindTimeout, KindOwnCredential:
		return true
	case KindBye:
		return e.Code == "" || e.Code == "UNAVAILABLE" || e.Code == "SERVERBUG"
	case KindRefused:
		return !e.Crowded && (e.Code == "UNAVAILABLE" || e.Code == "SERVERBUG")
	}
	return false
}
