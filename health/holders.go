package health

import "slices"

// hold notes that a node's monitors keep the alert open. It says whether that is new.
func (a *Alert) hold(node string) (changed bool) {
	if slices.Contains(a.Holders, node) {
		return false
	}
	a.Holders = append(slices.Clip(a.Holders), node) // copies of the alert share the old list
	return true
}

// release notes that a node's monitors no longer keep the alert open. It says whether they did.
func (a *Alert) release(node string) (changed bool) {
	if !slices.Contains(a.Holders, node) {
		return false
	}
	a.Holders = slices.DeleteFunc(slices.Clone(a.Holders), func(holder string) bool { return holder == node })
	return true
}

// counts says whether a holder may still release an alert: a node that was removed for good never does.
func (e *Escalator) counts(holder string) bool {
	return holder == e.opt.Node || e.opt.Nodes == nil || slices.Contains(e.opt.Nodes(), holder)
}

// sees says whether monitors that have a result keep an alert open. One without a result only keeps an alert that its
// node holds already. The caller holds mu.
func (e *Escalator) sees(a *Alert, all []MonitorState) bool {
	return slices.ContainsFunc(all, func(m MonitorState) bool { return m.Value != UnInitialized && e.keeps(a, m) })
}
