package proxy

import (
	"net/netip"

	"portico/cluster/counts"
)

// This file has what a server counts together with those of other nodes: connections of users, failed sign-ins, and
// guesses. Other limits are each node's own. With one node all of it is nil, and counts nothing.

// joinSite prepares the server to count together with others whose keys are the same.
func (s *Server) joinSite(keys keyHash) {
	s.admission.site = &siteUsers{keys: keys, others: make(map[uint64]int64), heavy: make(map[string]int)}
	s.authDelays.site = &siteFailures{others: make(map[uint64]int64), heavy: make(map[uint64]struct{})}
	s.guesses.site = new(siteGuesses)
	s.guesses.site.empty()
}

// Counted returns what this server counts together with those of other nodes, for a counts.Exchange. It needs
// Options.Seed.
func (s *Server) Counted() []counts.Kind {
	kinds := []counts.Kind{
		{Own: s.admission.heavyUsers, Add: s.admission.addOthers},
		{Own: s.heavyFailures, Add: s.authDelays.addOthers},
	}
	for of := range numBucketKinds {
		kinds = append(kinds, counts.Kind{Events: true,
			Own: func() []counts.Count { return s.guesses.news(of) },
			Add: func(changes []counts.Change) { s.guesses.spentElsewhere(of, changes, s.Settings().Guesses) }})
	}
	return append(kinds, counts.Kind{Events: true,
		Own: func() []counts.Count { return s.guesses.news(clearedBuckets) }, Add: s.guesses.clearedElsewhere})
}

// siteUsers has the connections of users on other nodes. The admission guards it. The zero pointer is one node.
type siteUsers struct {
	keys   keyHash
	others map[uint64]int64
	// heavy are the users whose connections other nodes have to know, by the number from which on. Users who have
	// fewer now are dropped when the next list is made.
	heavy map[string]int
}

// heavyShare divides a limit: from that on, other nodes get to know a user's connections.
const heavyShare = 4

// elsewhere is how many connections a user has on other nodes, as far as is known.
func (u *siteUsers) elsewhere(user string) int {
	if u == nil || len(u.others) == 0 {
		return 0
	}
	return int(u.others[u.keys.of(netip.Prefix{}, user)])
}

// note notes how many connections a user has here now.
func (u *siteUsers) note(user string, number, limit int) {
	if u == nil || limit <= 0 {
		return
	}
	if from := (limit + heavyShare - 1) / heavyShare; number >= from {
		u.heavy[user] = from
	}
}

// heavyUsers returns the connections of users that other nodes have to know.
func (a *admission) heavyUsers() []counts.Count {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]counts.Count, 0, len(a.site.heavy))
	for user, from := range a.site.heavy {
		n := a.users[user]
		if n < from {
			delete(a.site.heavy, user)
			continue
		}
		all = append(all, counts.Count{Key: a.site.keys.of(netip.Prefix{}, user), N: uint32(n)})
	}
	return all
}

func (a *admission) addOthers(changes []counts.Change) {
	a.mu.Lock()
	defer a.mu.Unlock()
	addChanges(a.site.others, changes)
}

func addChanges(to map[uint64]int64, changes []counts.Change) {
	for _, c := range changes {
		if to[c.Key] += c.By; to[c.Key] == 0 {
			delete(to, c.Key)
		}
	}
}

// siteFailures has the failed sign-ins on other nodes. The authDelays guard it. The zero pointer is one node.
type siteFailures struct {
	others map[uint64]int64
	heavy  map[uint64]struct{} // the entries that other nodes have to know
}

// heavyFailures is from how many failures on other nodes get to know an address or user.
const heavyFailures = 3

func (f *siteFailures) elsewhere(key uint64) int64 {
	if f == nil {
		return 0
	}
	return f.others[key]
}

// note notes how many failures an entry has here now.
func (f *siteFailures) note(key uint64, n int32) {
	if f != nil && n >= heavyFailures {
		makeRoom(f.heavy)
		f.heavy[key] = struct{}{}
	}
}

// heavyFailures returns the failures that other nodes have to know.
func (s *Server) heavyFailures() []counts.Count {
	forget := int64(s.Settings().AuthDelay.Forget.Seconds())
	d := s.authDelays
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]counts.Count, 0, len(d.site.heavy))
	now := d.now().Unix()
	for key := range d.site.heavy {
		f := d.failed[key]
		if f.n < heavyFailures || now-f.last >= forget {
			delete(d.site.heavy, key)
			continue
		}
		all = append(all, counts.Count{Key: key, N: uint32(f.n)})
	}
	return all
}

func (d *authDelays) addOthers(changes []counts.Change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	addChanges(d.site.others, changes)
}

// siteGuesses has what is not in a list for other nodes yet: guesses by the kind of their buckets, and
// buckets that were cleared. The guessLimiter guards it. The zero pointer is one node.
type siteGuesses struct {
	untold [clearedBuckets + 1]map[uint64]uint32
}

// clearedBuckets stands beside the kinds of buckets for those of any kind that an operator has filled.
const clearedBuckets = numBucketKinds

// empty forgets what was told.
func (n *siteGuesses) empty() {
	for i := range n.untold {
		n.untold[i] = make(map[uint64]uint32)
	}
}

func (n *siteGuesses) note(of bucketKind, key uint64) {
	if n != nil {
		makeRoom(n.untold[of])
		n.untold[of][key]++
	}
}

// spend keeps the tokens of a guess that was wrong. Other nodes take them out of their buckets too.
func (g *guessLimiter) spend(all []tokenDraw) {
	if g.site == nil {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range all {
		g.site.note(c.of, c.key)
	}
}

// news returns the guesses of a kind that were spent since the last call, or the buckets that were cleared.
func (g *guessLimiter) news(of bucketKind) []counts.Count {
	g.mu.Lock()
	defer g.mu.Unlock()
	all := make([]counts.Count, 0, len(g.site.untold[of]))
	for key, n := range g.site.untold[of] {
		all = append(all, counts.Count{Key: key, N: n})
	}
	g.site.untold[of] = make(map[uint64]uint32)
	return all
}

// spentElsewhere takes the tokens of guesses on other nodes. A bucket may owe tokens then, which come back before
// anybody gets one: so all nodes together verify no more guesses for long than one would.
func (g *guessLimiter) spentElsewhere(of bucketKind, changes []counts.Change, o GuessOptions) {
	r := o.rate(of)
	if r.burst == 0 {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range changes {
		b := g.bucket(tokenDraw{key: c.Key, rate: r})
		b.left -= min(float64(c.By), r.burst+mostOwed*r.perSecond)
	}
}

// mostOwed bounds what one list of another node takes from a bucket: what the node can have spent in this many seconds,
// which is longer than an interval. So a node that could not tell for long, and then tells all at once, keeps nobody
// out for long.
const mostOwed = 60

// clearedElsewhere fills buckets that an operator has filled at another node.
func (g *guessLimiter) clearedElsewhere(changes []counts.Change) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, c := range changes {
		if b := g.buckets[c.Key]; b != nil {
			g.refillAll(c.Key, b)
		}
	}
}
