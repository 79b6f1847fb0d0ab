package relay

func checkPumpsBounded(r *rig) {
	p := r.relay.(*Pumps)
	p.mu.Lock()
	defer p.mu.Unlock()
	for l := range p.links {
		for _, e := range []*pumpEnd{&l.client, &l.upstream} {
			if len(e.pending) > 5*pumpBuffer || len(e.held) > 3*pumpBuffer {
				r.t.Errorf("%d bytes are pending and %d held", len(e.pending), len(e.held))
			}
		}
	}
}
