package relay

// Slow implements Relay. A loop continues its work after each server.
func (ls *Loops) Slow() []SlowCommand {
	var all []SlowCommand
	for _, lp := range ls.loops {
		names := make(chan []string, 1)
		if !lp.post(func() { names <- lp.stats.ServerNames() }) {
			continue
		}
		for _, server := range <-names {
			done := make(chan struct{})
			if !lp.post(func() {
				defer close(done)
				all = lp.stats.Servers[server].appendSlow(all, server, lp.opts.Now())
			}) {
				break
			}
			<-done
		}
	}
	return all
}
