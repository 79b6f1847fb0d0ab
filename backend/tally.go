package backend

import (
	"hash/maphash"
	"sync"
	"time"
)

// TallyWindow is the time that a Tally covers. A failure is recent in the later half of it.
const TallyWindow = time.Minute

const (
	tallySlots   = 12      // of a window
	tallyUsers   = 1024    // counted of one server in a slot; more are left out
	tallyNames   = 100_000 // users who have signed in, at most; the half that was not seen for longer is forgotten
	tallySlot    = TallyWindow / tallySlots
	tallyHeldFor = tallySlots + 1 // slots
)

// Tally counts how users' sign-ins to mailbox servers end, as far as that depends on the server. It leaves out refused
// passwords, limits of an account, and what the client or this machine has caused. It counts only users who have
// signed in before: strangers can neither condemn a server nor hide that it fails. It keeps no names. It lives as long
// as the program, and is safe for concurrent use.
type Tally struct {
	now  func() time.Time
	seed maphash.Seed

	mu       sync.Mutex             // guards the rest
	known    [2]map[uint64]struct{} // who has signed in: lately, and before that
	byServer map[string]*tallied    // by mailbox server
}

// tallied is what is known of one server.
type tallied struct {
	slots     [tallyHeldFor]tallySlotOf
	failed    time.Time // the latest failure
	last      *Error    // that one's
	succeeded time.Time // the latest success
	since     int       // successes since the latest failure
}

// tallySlotOf has the sign-ins of a part of the window, by user.
type tallySlotOf struct {
	number  int64 // of the slot, in time
	users   map[uint64]ends
	between int // failures that came after a success that came after another failure
}

// ends counts how sign-ins of a user have ended.
type ends struct{ good, bad uint32 }

// Tallied is how users' sign-ins to one mailbox server have ended in the last TallyWindow.
type Tallied struct {
	Users   int     // who have tried
	Failing int     // who have failed at least once by the server's fault
	Share   float64 // of sign-ins that have failed, from 0 to 1; each user counts once, with the user's own share
	Failed  time.Time
	Last    *Error // why the latest has failed, at Failed; nil if none has
	// Succeeded is when the latest user has signed in, at any time before.
	Succeeded time.Time
	SignIns   int // of all users
	Failures  int // of all users
	Since     int // sign-ins that have succeeded since the latest failure
	Between   int // failures before which others have failed and, after those, some have succeeded
}

// Missing is how many failures were due since the last one, if sign-ins still failed as often as before it.
func (t Tallied) Missing() float64 {
	return float64(t.Since*t.Failures) / float64(max(t.SignIns-t.Since, t.Failures, 1))
}

// Mixed says whether the server takes some sign-ins and fails others. A server that has died takes none.
func (t Tallied) Mixed() bool { return t.Between >= 2 }

// NewTally returns an empty tally.
func NewTally(now func() time.Time) *Tally {
	return &Tally{now: now, seed: maphash.MakeSeed(), byServer: make(map[string]*tallied)}
}

// Note counts the result of a user's sign-in to a server; nil is a success.
func (t *Tally) Note(server, user string, e *Error) {
	fails := e != nil
	if fails && !e.serversFault() {
		return
	}
	id, now := maphash.String(t.seed, user), t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !fails {
		t.learn(id)
	} else if !t.knows(id) {
		return
	}
	of := t.byServer[server]
	if of == nil {
		of = &tallied{}
		t.byServer[server] = of
	}
	between := fails && of.since > 0 && now.Sub(of.failed) < TallyWindow
	counted := of.count(id, fails, between, now)
	switch {
	case fails:
		of.failed, of.last, of.since = now, e, 0
	case counted:
		of.succeeded = now
		of.since++
	default:
		of.succeeded = now
	}
}

// learn records that a user has signed in. The caller holds mu.
func (t *Tally) learn(id uint64) {
	if t.known[0] == nil || len(t.known[0]) >= tallyNames/2 {
		t.known[0], t.known[1] = make(map[uint64]struct{}), t.known[0]
	}
	t.known[0][id] = struct{}{}
}

// knows says whether a user has signed in. The caller holds mu.
func (t *Tally) knows(id uint64) bool {
	_, lately := t.known[0][id]
	_, before := t.known[1][id]
	return lately || before
}

// count counts a sign-in in its slot, and says whether there is room for that.
func (of *tallied) count(id uint64, fails, between bool, now time.Time) bool {
	number := now.UnixNano() / int64(tallySlot)
	slot := &of.slots[number%tallyHeldFor]
	if slot.number != number || slot.users == nil {
		slot.number, slot.users, slot.between = number, make(map[uint64]ends), 0
	}
	if between {
		slot.between++
	}
	e, counted := slot.users[id]
	if !counted && len(slot.users) >= tallyUsers {
		return false
	}
	if fails {
		e.bad++
	} else {
		e.good++
	}
	slot.users[id] = e
	return true
}

// Of returns how users' sign-ins to a server have ended.
func (t *Tally) Of(server string) (sum Tallied) {
	now := t.now()
	t.mu.Lock()
	defer t.mu.Unlock()
	of := t.byServer[server]
	if of == nil {
		return sum
	}
	sum.Succeeded, sum.Since = of.succeeded, of.since
	oldest := now.Add(-TallyWindow).UnixNano() / int64(tallySlot)
	users := make(map[uint64]ends)
	for _, slot := range of.slots {
		if slot.number <= oldest {
			continue
		}
		for id, e := range slot.users {
			users[id] = ends{users[id].good + e.good, users[id].bad + e.bad}
		}
		sum.Between += slot.between
	}
	for _, e := range users {
		if e.bad > 0 {
			sum.Failing++
		}
		sum.Share += float64(e.bad) / float64(e.good+e.bad)
		sum.SignIns += int(e.good + e.bad)
		sum.Failures += int(e.bad)
	}
	sum.Users = len(users)
	sum.Share /= float64(max(sum.Users, 1))
	if sum.Failing > 0 {
		sum.Failed, sum.Last = of.failed, of.last
	}
	return sum
}

// takesUsersFor is how long a user's sign-in shows that a server accepts users.
const takesUsersFor = 10 * time.Second

// TakesUsers says whether a user has just signed in to a mailbox server, so that a refusal of another account is not
// the server's fault. Sign-ins of probes do not count.
func (t *Tier) TakesUsers(server string) bool {
	last := t.tally.Of(server).Succeeded
	return !last.IsZero() && t.tally.now().Sub(last) < takesUsersFor
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
