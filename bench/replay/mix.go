package replay

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"
)

// maxMix is the highest number of commands in a mix. The rarest others are left out.
const maxMix = 500

// describe makes the profile: the mix of the commands, and how often a session sends one.
func (r *Recording) describe() {
	counts := make(map[Step]int)
	r.Steps(func(step Step) {
		switch step.Verb {
		case Done, Logout, Drop: // they follow from others
			return
		}
		step.Bytes, step.Messages = powerOfTwo(step.Bytes), powerOfTwo(step.Messages)
		counts[step]++
	})
	steps := slices.SortedFunc(maps.Keys(counts), func(a, b Step) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a.Verb, b.Verb), cmp.Compare(a.Bytes, b.Bytes),
			cmp.Compare(a.Messages, b.Messages))
	})
	sent := 0
	for _, step := range steps[:min(len(steps), maxMix)] {
		r.Profile.Commands.Mix = append(r.Profile.Commands.Mix, Weighted{step, float64(counts[step])})
		sent += counts[step]
	}
	r.Profile.PerSession = min(max(r.Profile.PerSession*float64(sent)/float64(max(r.Commands, 1)), 1e-4), 1e6)
	r.Profile.Description = fmt.Sprintf("The commands of a protocol log, without their times: %d sessions of %d "+
		"users in %v, on average %.1f at once.", len(r.Sessions), r.Users, r.Span().Round(time.Millisecond), r.AtOnce)
}

// Check refuses a mix that cannot be played.
func (m *Mix) Check() error {
	if len(m.Mix) == 0 || len(m.Mix) > maxMix {
		return fmt.Errorf("mix: must be 1 to %d commands", maxMix)
	}
	for i, w := range m.Mix {
		if !(w.Weight > 0 && w.Weight <= 1e9) || w.Do.Verb.Ends() || w.Do.Verb == Done {
			return fmt.Errorf("mix[%d]: needs a weight above 0, and a command other than done, logout and drop", i)
		}
	}
	return nil
}

// Pick draws a command by weight; at is within [0, 1).
func (m *Mix) Pick(at float64) Step {
	var sum float64
	for _, w := range m.Mix {
		sum += w.Weight
	}
	at *= sum
	for _, w := range m.Mix {
		if at -= w.Weight; at < 0 {
			return w.Do
		}
	}
	return m.Mix[len(m.Mix)-1].Do
}
