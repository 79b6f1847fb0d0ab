package relay

// purse is what a user may still send over a loop before that has to draw from the user's allowance again. It is
// negative when the user has sent more: commands are never refused, their client is only not read until they are paid
// for.
type purse struct {
	left int
	used uint64 // the tick of the last command
}

const (
	drawsPerSecond = 20 // by a user who sends as much as may be

	purseRest   = 100     // ticks after which a purse that nobody uses is dropped, with what is left in it
	forgetEvery = 60 * 10 // ticks between two looks for buckets that are full
)

// Limit implements Relay.
func (ls *Loops) Limit(perSecond, burst int) {
	ls.allowance.set(perSecond, burst)
	for _, lp := range ls.loops {
		lp.post(func() {
			lp.limited, lp.draws = perSecond > 0, perSecond/drawsPerSecond
			clear(lp.purses)
			lp.payDebts(lp.opts.Now())
		})
	}
}

// spend counts commands that a session's client has begun, and keeps the client from being read if they are more than
// its user may send.
func (l *link) spend(commands int, now int64) {
	if l.loop.limited && commands > 0 && !l.loop.pays(l.owner.User(), commands, now) {
		l.throttled = true
		l.tracker.stats.Throttled++
		l.loop.indebted = append(l.loop.indebted, l)
	}
}

// pays takes from a user's purse, and says whether it has been enough.
func (lp *loop) pays(user string, commands int, now int64) bool {
	p := lp.purses[user]
	if p == nil {
		p = &purse{}
		lp.purses[user] = p
	}
	p.used = lp.ticks
	if p.left -= commands; p.left < 0 {
		p.left += lp.allowance.draw(user, lp.draws-p.left, now)
	}
	return p.left >= 0
}

// payDebts has the clients read on whose users may send again.
func (lp *loop) payDebts(now int64) {
	waiting := lp.indebted
	lp.indebted = nil
	for _, l := range waiting {
		if l.phase == carrying {
			l.guard(func() { l.payDebt(now) })
		}
	}
}

// payDebt has the client read on if its user may send again.
func (l *link) payDebt(now int64) {
	if l.loop.limited && !l.loop.pays(l.owner.User(), 0, now) {
		l.loop.indebted = append(l.loop.indebted, l)
		return
	}
	l.throttled = false
	l.settle(now)
}

// tidyPurses drops what is not used any more.
func (lp *loop) tidyPurses(now int64) {
	if lp.ticks%purseRest == 0 {
		for user, p := range lp.purses {
			if p.used+purseRest < lp.ticks {
				delete(lp.purses, user)
			}
		}
	}
	if lp.ticks%forgetEvery == 0 && lp.limited {
		lp.allowance.forget(now)
	}
}
