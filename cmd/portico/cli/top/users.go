package top

import (
	"slices"
	"time"

	"portico/health/admin"
)

// userFigures are the sessions of a user.
type userFigures struct {
	name     string
	servers  []string
	sessions int
	open     int     // commands without an answer
	rate     float64 // commands a second, of sessions that were there before
	waiting  float64 // seconds that the oldest command has waited for its answer
}

// usersOf adds sessions up by user. before has the commands of the sessions some time ago.
func usersOf(sessions []admin.SessionState, before map[string]uint64, ago time.Duration) []userFigures {
	numbers := make(map[string]int)
	var users []userFigures
	for _, s := range sessions {
		i, known := numbers[s.User]
		if !known {
			i = len(users)
			numbers[s.User] = i
			users = append(users, userFigures{name: s.User})
		}
		u := &users[i]
		u.sessions++
		if !s.Idling {
			u.open += s.Open
		}
		u.waiting = max(u.waiting, s.Oldest)
		if !slices.Contains(u.servers, s.Server) {
			u.servers = append(u.servers, s.Server)
		}
		if commands, there := before[s.ID]; there && s.Commands > commands && ago > 0 {
			u.rate += float64(s.Commands-commands) / ago.Seconds()
		}
	}
	return users
}
