package relay

// userBudget is how many commands a user may still send over one loop before the loop draws tokens from the rate
// limiter again. It is negative if the user has sent more. Commands are never refused: the loop stops reading the
// client until the budget is positive again.
type userBudget struct {
	left int
	used uint64 // tick of the last command
}

const (
	drawsPerSecond = 20 // by a user who sends as much as is allowed

	budgetIdleTicks = 100     // ticks after which an unused budget is dropped, with what is left of it
	forgetEvery     = 60 * 10 // ticks between two searches for full buckets
)

// Limit implements Relay.
func (ls *Loops) Limit(perSecond, burst int) {
	ls.limiter.set(perSecond, burst)
	for _, lp := range ls.loops {
		lp.post(func() {
			lp.limited, lp.draws = perSecond > 0, perSecond/drawsPerSecond
			clear(lp.budgets)
			lp.payDebts(lp.opts.Now())
		})
	}
}

// spend counts commands that a session's client has begun. If they are more than its user may send, the loop stops
// reading the client.
func (l *link) spend(commands int, now int64) {
	if l.loop.limited && commands > 0 && !l.loop.pays(l.owner.User(), commands, now) {
		l.throttled = true
		l.tracker.stats.Throttled++
		l.loop.indebted = append(l.loop.indebted, l)
	}
}

// pays takes from a user's budget, and reports whether it was enough.
func (lp *loop) pays(user string, commands int, now int64) bool {
	p := lp.budgets[user]
	if p == nil {
		p = &userBudget{}
		lp.budgets[user] = p
	}
	p.used = lp.ticks
	if p.left -= commands; p.left < 0 {
		p.left += lp.limiter.draw(user, lp.draws-p.left, now)
	}
	return p.left >= 0
}

// payDebts resumes reading the clients whose users may send again.
func (lp *loop) payDebts(now int64) {
	waiting := lp.indebted
	lp.indebted = nil
	for _, l := range waiting {
		if l.phase == phaseCarrying {
			l.protect(func() { l.payDebt(now) })
		}
	}
}

// payDebt resumes reading the client if its user may send again.
func (l *link) payDebt(now int64) {
	if l.loop.limited && !l.loop.pays(l.owner.User(), 0, now) {
		l.loop.indebted = append(l.loop.indebted, l)
		return
	}
	l.throttled = false
	l.settle(now)
}

// dropIdleBudgets drops the budgets, and sometimes the buckets, that are not used any more.
func (lp *loop) dropIdleBudgets(now int64) {
	if lp.ticks%budgetIdleTicks == 0 {
		for user, p := range lp.budgets {
			if p.used+budgetIdleTicks < lp.ticks {
				delete(lp.budgets, user)
			}
		}
	}
	if lp.ticks%forgetEvery == 0 && lp.limited {
		lp.limiter.forget(now)
	}
}
