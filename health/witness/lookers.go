package witness

import "hash/fnv"

// lookersOfEach is how many nodes look at a target; all, if there are no more.
const lookersOfEach = 3

// looks says whether a node, which is one of some, is one of those of them that look at a target. It is rendezvous
// hashing, so nodes with the same list agree, and a node that comes or goes changes the lookers of few targets. Most
// nodes find three that come before them soon, however many there are.
func looks(node, target string, nodes []string) bool {
	own, before := rank(node, target), 0
	for _, other := range nodes {
		if r := rank(other, target); r < own || r == own && other < node {
			if before++; before == lookersOfEach {
				return false
			}
		}
	}
	return true
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
