package witness

import (
	"cmp"
	"hash/fnv"
	"slices"
)

// lookersOfEach is how many nodes look at a target.
const lookersOfEach = 3

// Lookers returns those of some nodes that look at a target, sorted: all of up to three. It is rendezvous hashing, so
// nodes with the same list agree, and a node that comes or goes changes the lookers of few targets.
func Lookers(target string, nodes []string) []string {
	if len(nodes) <= lookersOfEach {
		return nodes
	}
	type ranked struct {
		node string
		rank uint64
	}
	all := make([]ranked, 0, len(nodes))
	for _, node := range nodes {
		all = append(all, ranked{node, rank(node, target)})
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(a.rank, b.rank), cmp.Compare(a.node, b.node))
	})
	chosen := make([]string, 0, lookersOfEach)
	for _, r := range all[:lookersOfEach] {
		chosen = append(chosen, r.node)
	}
	slices.Sort(chosen)
	return chosen
}

// rank is the same in each process.
func rank(node, target string) uint64 {
	h := fnv.New64a()
	h.Write([]byte(node))
	h.Write([]byte{0})
	h.Write([]byte(target))
	n := h.Sum64() // its bits are not mixed well: names differ in the last bytes alone
	n ^= n >> 33
	n *= 0xff51afd7ed558ccd
	n ^= n >> 33
	n *= 0xc4ceb9fe1a85ec53
	return n ^ n>>33
}

// views remembers who looks at what, for lists of nodes.
type views map[string]map[string][]string // by the list, and by target

// lookers is Lookers.
func (v views) lookers(target, view string, nodes []string) []string {
	of := v[view]
	if of == nil {
		of = make(map[string][]string)
		v[view] = of
	}
	found, known := of[target]
	if !known {
		found = Lookers(target, nodes)
		of[target] = found
	}
	return found
}
