package relay

import (
	"encoding/json"
	"slices"

	"portico/proxy/wire"
)

// What a process that keeps its sessions after an upgrade has counted, as the process reads it that takes clients. The
// two may be of different versions, so verbs, results and reasons go by name, and what only one knows is left out. What
// is about the process, and not about sessions, is left out too.

type statsText struct {
	Servers   map[string]serverText  `json:"servers"`
	Databases map[string]*GroupStats `json:"databases"`
	Listeners map[string]*GroupStats `json:"listeners"`
	Ended     map[string]uint64      `json:"ended"`
}

type serverText struct {
	Commands         map[wire.Verb]commandText `json:"commands"`
	Traffic          Traffic                   `json:"traffic"`
	Opaque           int64                     `json:"opaque"`
	Throttled        uint64                    `json:"throttled"`
	Intercepted      uint64                    `json:"intercepted"`
	LongCapabilities uint64                    `json:"long_capabilities"`
}

type commandText struct {
	Time    *Histogram        `json:"time"`
	Results map[string]uint64 `json:"results"`
}

// MarshalJSON implements json.Marshaler.
func (s *Stats) MarshalJSON() ([]byte, error) {
	text := statsText{Servers: make(map[string]serverText), Databases: s.Databases, Listeners: s.Listeners,
		Ended: make(map[string]uint64)}
	for name, server := range s.Servers {
		of := serverText{make(map[wire.Verb]commandText), server.Traffic, server.Opaque, server.Throttled,
			server.Intercepted, server.LongCapabilities}
		for v, h := range server.Commands {
			if h != nil {
				results := make(map[string]uint64)
				for r, n := range server.Results[v] {
					results[Result(r).String()] = n
				}
				of.Commands[wire.Verb(v)] = commandText{h, results}
			}
		}
		text.Servers[name] = of
	}
	for r, n := range s.Ended {
		text.Ended[Reason(r).String()] = n
	}
	return json.Marshal(text)
}

// UnmarshalJSON implements json.Unmarshaler.
func (s *Stats) UnmarshalJSON(data []byte) error {
	var text statsText
	if err := json.Unmarshal(data, &text); err != nil {
		return err
	}
	*s = *NewStats()
	for name, from := range text.Servers {
		server := s.Server(name)
		server.Traffic, server.Opaque, server.Throttled = from.Traffic, from.Opaque, from.Throttled
		server.Intercepted, server.LongCapabilities = from.Intercepted, from.LongCapabilities
		for v, command := range from.Commands {
			if command.Time != nil {
				server.commands(v).Add(command.Time)
			}
			for r, result := range resultNames {
				server.Results[v][r] += command.Results[result]
			}
		}
	}
	addGroups(s.Databases, text.Databases)
	addGroups(s.Listeners, text.Listeners)
	for name, n := range text.Ended {
		if r := slices.Index(reasonNames[:], name); r >= 0 {
			s.Ended[r] = n
		}
	}
	return nil
}

func addGroups(to, from map[string]*GroupStats) {
	for name, group := range from {
		if group != nil {
			groupOf(to, name).add(group)
		}
	}
}

// Since returns what the same relay has counted since base was taken. What is open now, such as sessions and commands
// in progress, is as it is.
func (s *Stats) Since(base *Stats) *Stats {
	c := s.Clone()
	for name, server := range base.Servers {
		c.Server(name).sub(server)
	}
	for name, group := range base.Databases {
		groupOf(c.Databases, name).sub(group)
	}
	for name, group := range base.Listeners {
		groupOf(c.Listeners, name).sub(group)
	}
	for r := range c.Ended {
		c.Ended[r] -= base.Ended[r]
	}
	return c
}

// ForgetOpen leaves what has ended: no session is left.
func (s *Stats) ForgetOpen() {
	for _, server := range s.Servers {
		server.Sessions, server.Queued, server.Opaque = 0, 0, 0
	}
	for _, groups := range []map[string]*GroupStats{s.Databases, s.Listeners} {
		for _, group := range groups {
			group.Sessions, group.Queued = 0, 0
		}
	}
}

func (s *ServerStats) sub(o *ServerStats) {
	for v, h := range o.Commands {
		if h != nil {
			s.commands(wire.Verb(v)).sub(h)
		}
	}
	for v := range s.Results {
		for r := range s.Results[v] {
			s.Results[v][r] -= o.Results[v][r]
		}
	}
	s.Traffic.sub(o.Traffic)
	s.Throttled -= o.Throttled
	s.Intercepted -= o.Intercepted
	s.LongCapabilities -= o.LongCapabilities
}

func (g *GroupStats) sub(o *GroupStats) {
	g.Commands.sub(&o.Commands)
	g.Traffic.sub(o.Traffic)
}

func (t *Traffic) sub(o Traffic) {
	t.ClientBytes -= o.ClientBytes
	t.ServerBytes -= o.ServerBytes
}

func (h *Histogram) sub(o *Histogram) {
	h.Count -= o.Count
	h.Sum -= o.Sum
	for i := range h.Classic {
		h.Classic[i] -= o.Classic[i]
	}
	for i := range h.Native {
		h.Native[i] -= o.Native[i]
	}
}
