package admin

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// SessionQuery asks for the sessions that fit all that is given.
type SessionQuery struct {
	SessionFilter
	Command string `query:"command"`                // that is open, such as fetch, which is UID FETCH too
	Where   string `query:"where" maxLength:"1024"` // conditions on fields: Age -gt 10 -and Command -ne IDLE
	Order
}

// SlowQuery asks for the slow commands that fit all that is given.
type SlowQuery struct {
	SessionFilter
	Command string    `query:"command"` // such as fetch, which is UID FETCH too
	From    time.Time `query:"from"`    // when the command has ended, at the earliest
	To      time.Time `query:"to"`      // and at the latest
	Order
}

// Query is the query as the API's URLs have it.
func (q SessionQuery) Query() url.Values {
	all := q.Order.query(q.SessionFilter, q.Command)
	setUnlessEmpty(all, "where", q.Where)
	return all
}

// Query is the query as the API's URLs have it.
func (q SlowQuery) Query() url.Values {
	all := q.Order.query(q.SessionFilter, q.Command)
	for name, at := range map[string]time.Time{"from": q.From, "to": q.To} {
		if !at.IsZero() {
			all.Set(name, at.UTC().Format(time.RFC3339Nano))
		}
	}
	return all
}

// query is what both queries have.
func (o Order) query(f SessionFilter, command string) url.Values {
	all := url.Values{}
	for name, value := range map[string]string{"user": f.User, "session": f.Session, "ip": f.IP, "server": f.Server,
		"command": command, "sort": o.Sort} {
		setUnlessEmpty(all, name, value)
	}
	if o.Limit > 0 {
		all.Set("limit", strconv.Itoa(o.Limit))
	}
	return all
}

func setUnlessEmpty(all url.Values, name, value string) {
	if value != "" {
		all.Set(name, value)
	}
}

// SessionFields are the fields of sessions for conditions and sorting.
var SessionFields = Fields[SessionState]{
	"Session":  func(s SessionState) string { return s.ID },
	"User":     func(s SessionState) string { return s.User },
	"Client":   func(s SessionState) string { return s.Remote },
	"Listener": func(s SessionState) string { return s.Listener },
	"Server":   func(s SessionState) string { return s.Server },
	"Database": func(s SessionState) string { return s.Database },
	"Command":  func(s SessionState) string { return s.Command },
	"Age":      func(s SessionState) string { return decimal(s.Age) },
	"For":      func(s SessionState) string { return decimal(s.Age) }, // the name of the column
	"Busy": func(s SessionState) string { // Age, 0 while the session waits for mail
		if s.Idling {
			return "0"
		}
		return decimal(s.Age)
	},
	"Waiting":  func(s SessionState) string { return decimal(100 * s.Waiting) },
	"Open":     func(s SessionState) string { return strconv.Itoa(s.Open) },
	"Commands": func(s SessionState) string { return strconv.FormatUint(s.Commands, 10) },
	"Silent":   func(s SessionState) string { return decimal(s.Silent) },
}

// SlowFields are the fields of slow commands for sorting.
var SlowFields = Fields[SlowCommand]{
	"Ended":   func(s SlowCommand) string { return s.Ended.Format(time.RFC3339Nano) },
	"Took":    func(s SlowCommand) string { return decimal(s.Seconds) },
	"Command": func(s SlowCommand) string { return s.Command },
	"Result":  func(s SlowCommand) string { return s.Result },
	"User":    func(s SlowCommand) string { return s.User },
	"Server":  func(s SlowCommand) string { return s.Server },
	"Client":  func(s SlowCommand) string { return s.Remote },
	"Session": func(s SlowCommand) string { return s.Session },
}

func decimal(n float64) string { return strconv.FormatFloat(n, 'f', -1, 64) }

// pick returns the sessions that are asked for, in their order.
func (q SessionQuery) pick(names Names, all []SessionState) ([]SessionState, error) {
	fits, err := q.testOf(names, q.Command)
	if err != nil {
		return nil, err
	}
	conditions, err := SessionFields.Parse(q.Where, names.ofSessions())
	if err != nil {
		return nil, fmt.Errorf("where: %w", err)
	}
	holds := SessionFields.Test(conditions)
	all = slices.DeleteFunc(all, func(s SessionState) bool {
		return !fits(s.ID, s.User, s.Server, s.Remote, s.Command) || !holds(s)
	})
	return firstRows(SessionFields, all, q.Order)
}

// pick returns the commands that are asked for, in their order.
func (q SlowQuery) pick(names Names, all []SlowCommand) ([]SlowCommand, error) {
	fits, err := q.testOf(names, q.Command)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(s SlowCommand) bool {
		return !fits(s.Session, s.User, s.Server, s.Remote, s.Command) ||
			s.Ended.Before(q.From) || !q.To.IsZero() && s.Ended.After(q.To)
	})
	return firstRows(SlowFields, all, q.Order)
}

// testOf returns a function that says whether a row fits the filter and has the command, if one is given. It refuses
// unknown names.
func (f SessionFilter) testOf(names Names, meant string) (fits func(id, user, server, remote, command string) bool,
	err error) {
	if err := names.Check(f.Server, meant); err != nil {
		return nil, err
	}
	test, err := f.Test()
	if err != nil {
		return nil, Of(KindInvalid, err)
	}
	return func(id, user, server, remote, command string) bool {
		var client netip.Addr
		if f.IP != "" { // of a long list, this takes long
			client = clientOf(remote)
		}
		return test(id, user, server, client) && (meant == "" || isCommand(command, meant))
	}, nil
}

// firstRows returns the rows that an order asks for.
func firstRows[Row any](fields Fields[Row], all []Row, order Order) ([]Row, error) {
	first, err := fields.First(all, order)
	if err != nil {
		return nil, fmt.Errorf("sort: %w", err)
	}
	return first, nil
}

// ofSessions are the fields of sessions that have a closed set of values.
func (n Names) ofSessions() map[string]ValueKind {
	known := func(names []string) func() ([]string, error) {
		return func() ([]string, error) { return names, nil }
	}
	return map[string]ValueKind{
		"server":   OneOf("mailbox server", known(n.Servers)),
		"database": OneOf("database", known(n.Databases)),
		"command":  OneOf("command", known(n.Commands)),
	}
}

// isCommand says whether a command is the named one, with or without UID.
func isCommand(command, meant string) bool {
	return strings.EqualFold(command, meant) || strings.EqualFold(command, "UID "+meant)
}

// clientOf is the address in a row.
func clientOf(remote string) netip.Addr {
	client, _ := netip.ParseAddrPort(remote)
	return client.Addr()
}
