package history

import (
	"bytes"
	"encoding/binary"

	"portico/proxy/relay"
)

// A sample is written as unsigned varints. For each group that is not idle:
//
//	number of the group's name, kind
//	sessions, queued, client bytes, server bytes
//	number of results of sign-ins; for each: number of its name, count
//	number of verbs; for each: number of its name, server time in microseconds,
//	    number of native buckets that are not empty; for each: distance from the one before, count;
//	    number of commands that ended with NO or BAD
type sample struct {
	end  int64 // of the caller's clock
	span int64 // from the end of the sample before
	data []byte
}

// names gives names numbers. They are never forgotten: those of an hour ago are mostly those of now.
type names struct {
	list    []string
	numbers map[string]uint64
	bytes   int
}

// nameOverhead is what a name takes beside its bytes: in the list and in the map.
const nameOverhead = 80

func (n *names) number(name string) uint64 {
	number, known := n.numbers[name]
	if !known {
		number = uint64(len(n.list))
		n.list = append(n.list, name)
		n.numbers[name] = number
		n.bytes += len(name) + nameOverhead
	}
	return number
}

// encode appends a group's difference to a sample, unless the group is idle.
func (n *names) encode(data []byte, g Group, d difference) []byte {
	traffic := d.traffic()
	results, verbs := d.numbers()
	if traffic == (relay.Traffic{}) && results+verbs == 0 {
		return data
	}
	data = binary.AppendUvarint(data, n.number(g.Name))
	data = append(data, byte(g.Kind))
	data = binary.AppendUvarint(data, uint64(max(traffic.Sessions, 0)))
	data = binary.AppendUvarint(data, uint64(max(traffic.Queued, 0)))
	data = binary.AppendUvarint(data, traffic.ClientBytes)
	data = binary.AppendUvarint(data, traffic.ServerBytes)
	data = binary.AppendUvarint(data, uint64(results))
	for result := range d.now.SignIns {
		if count := d.signIns(result); count > 0 {
			data = binary.AppendUvarint(data, n.number(result))
			data = binary.AppendUvarint(data, count)
		}
	}
	data = binary.AppendUvarint(data, uint64(verbs))
	for verb := range d.now.Commands {
		if now, before := d.commands(verb); now != nil {
			data = binary.AppendUvarint(data, n.number(verb))
			data = encodeTimes(data, now, before)
			data = binary.AppendUvarint(data, d.errors(verb))
		}
	}
	return data
}

func encodeTimes(data []byte, now, before *relay.Histogram) []byte {
	used := 0
	for i := range now.Native {
		if now.Native[i] > before.Native[i] {
			used++
		}
	}
	data = binary.AppendUvarint(data, uint64(max(now.Sum-before.Sum, 0)/1000))
	data = binary.AppendUvarint(data, uint64(used))
	last := 0
	for i := range now.Native {
		if now.Native[i] > before.Native[i] {
			data = binary.AppendUvarint(data, uint64(i-last))
			data = binary.AppendUvarint(data, now.Native[i]-before.Native[i])
			last = i
		}
	}
	return data
}

// reader decodes a sample.
type reader struct {
	data  []byte
	names []string
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	r.data = r.data[n:]
	return v
}

func (r *reader) name() string { return r.names[r.uvarint()] }

// sums is where a sample is added up. of and times may return nil, which leaves that part out.
type sums struct {
	of     func(Group) (*relay.Traffic, map[string]uint64) // bytes and sign-ins
	times  func(g Group, verb string) *relay.Histogram
	errors func(g Group, verb string, n uint64)
}

// read adds the sample up. Sessions and Queued are not added: those of the sample that is read last remain.
func (r *reader) read(to sums) {
	for len(r.data) > 0 {
		g := Group{Name: r.name()}
		g.Kind, r.data = Kind(r.data[0]), r.data[1:]
		traffic, signIns := to.of(g)
		read := relay.Traffic{Sessions: int64(r.uvarint()), Queued: int64(r.uvarint()), ClientBytes: r.uvarint(),
			ServerBytes: r.uvarint()}
		if traffic != nil {
			traffic.Sessions, traffic.Queued = read.Sessions, read.Queued
			traffic.ClientBytes += read.ClientBytes
			traffic.ServerBytes += read.ServerBytes
		}
		for range r.uvarint() {
			result, count := r.name(), r.uvarint()
			if signIns != nil {
				signIns[result] += count
			}
		}
		for range r.uvarint() {
			verb := r.name()
			r.times(to.times(g, verb))
			if n := r.uvarint(); n > 0 {
				to.errors(g, verb, n)
			}
		}
	}
}

// times adds the server times of a verb to h, or skips them if h is nil.
func (r *reader) times(h *relay.Histogram) {
	sum, i := r.uvarint(), uint64(0)
	if h != nil {
		h.Sum += int64(sum) * 1000
	}
	for range r.uvarint() {
		i += r.uvarint()
		count := r.uvarint()
		if h != nil {
			h.Native[i] += count
			h.Count += count
		}
	}
}

// merge makes one sample of several that follow each other.
func (n *names) merge(samples []sample) sample {
	sum := make(Counts)
	to := sums{
		of: func(g Group) (*relay.Traffic, map[string]uint64) {
			c := sum.Of(g.Kind, g.Name)
			return &c.Traffic, c.SignIns
		},
		times: func(g Group, verb string) *relay.Histogram {
			commands := sum[g].Commands
			if commands[verb] == nil {
				commands[verb] = new(relay.Histogram)
			}
			return commands[verb]
		},
		errors: func(g Group, verb string, n uint64) { sum[g].Errors[verb] += n },
	}
	merged := sample{end: samples[len(samples)-1].end}
	for _, s := range samples {
		merged.span += s.span
		for _, c := range sum { // a group that the sample leaves out is idle at its end
			c.Sessions, c.Queued = 0, 0
		}
		(&reader{s.data, n.list}).read(to)
	}
	var data []byte
	for g, c := range sum {
		data = n.encode(data, g, difference{now: c})
	}
	merged.data = bytes.Clone(data) // without the room to grow
	return merged
}
