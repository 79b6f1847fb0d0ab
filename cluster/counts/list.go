package counts

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// list is what a node tells: its counts of each kind.
type list struct {
	start  uint64 // see Exchange
	counts []map[uint64]uint32
}

// The form of a list in the store: a byte for the form, eight for start, and for each kind two bytes for the number of
// its counts, and twelve for each.
const (
	listForm    = 1
	listHead    = 1 + 8
	kindHead    = 2
	countLength = 8 + 4
)

var errList = errors.New("not a list of counts")

// encode returns the form of a list in the store; nil if there are no counts.
func (l list) encode() []byte {
	text := binary.BigEndian.AppendUint64([]byte{listForm}, l.start)
	some := false
	for _, counts := range l.counts {
		told := largest(counts)
		some = some || len(told) > 0
		text = binary.BigEndian.AppendUint16(text, uint16(len(told)))
		for _, c := range told {
			text = binary.BigEndian.AppendUint64(text, c.Key)
			text = binary.BigEndian.AppendUint32(text, c.N)
		}
	}
	if !some {
		return nil
	}
	return text
}

// largest returns the largest counts, sorted by key: the same counts always look the same.
func largest(counts map[uint64]uint32) []Count {
	all := make([]Count, 0, len(counts))
	for key, n := range counts {
		all = append(all, Count{key, n})
	}
	if len(all) > MaxCounts {
		slices.SortFunc(all, func(a, b Count) int { return cmp.Or(cmp.Compare(b.N, a.N), cmp.Compare(a.Key, b.Key)) })
		all = all[:MaxCounts]
	}
	slices.SortFunc(all, func(a, b Count) int { return cmp.Compare(a.Key, b.Key) })
	return all
}

// decodeList reads a list with counts of as many kinds as this version knows. It skips those that a later one adds.
func decodeList(text []byte, kinds int) (list, error) {
	if len(text) < listHead || text[0] != listForm {
		return list{}, errList
	}
	l := list{start: binary.BigEndian.Uint64(text[1:]), counts: make([]map[uint64]uint32, kinds)}
	text = text[listHead:]
	for i := range l.counts {
		if len(text) < kindHead {
			return list{}, errList
		}
		number := int(binary.BigEndian.Uint16(text))
		text = text[kindHead:]
		if len(text) < number*countLength {
			return list{}, errList
		}
		l.counts[i] = make(map[uint64]uint32, number)
		for range number {
			l.counts[i][binary.BigEndian.Uint64(text)] = binary.BigEndian.Uint32(text[8:])
			text = text[countLength:]
		}
	}
	return l, nil
}
