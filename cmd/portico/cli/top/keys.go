package top

import (
	"fmt"
	"slices"
	"unicode"

	tea "charm.land/bubbletea/v2"

	"portico/health/admin"
)

// key does what a key is for.
func (m *model) key(msg tea.KeyPressMsg) tea.Cmd {
	key := msg.String()
	switch {
	case key == "ctrl+c":
		return tea.Quit
	case m.asking != nil:
		return m.answer(key)
	case m.typing:
		m.typeFilter(key, msg.Text)
		return nil
	}
	m.note = ""
	switch key {
	case "q":
		return tea.Quit
	case "1", "2", "3", "4":
		m.show(viewKind(key[0] - '1'))
	case "tab", "right":
		m.show((m.view + 1) % numViews)
	case "shift+tab", "left":
		m.show((m.view + numViews - 1) % numViews)
	case "up", "down", "pgup", "pgdown", "home", "end":
		m.move(key)
	case "s":
		m.orders[m.view] = order{column: (m.orders[m.view].column + 1) % len(views[m.view].heads)}
	case "r":
		m.orders[m.view].reverse = !m.orders[m.view].reverse
	case "/":
		m.typing, m.session = true, ""
	case "esc":
		if m.session == "" {
			m.filter = ""
		}
		m.session = ""
	case "enter":
		m.lookInto()
	case "k", "l", "p":
		m.ask(key)
	}
	return nil
}

// show changes the view. The filter is for the view that it was made in.
func (m *model) show(v viewKind) {
	if v != m.view {
		m.view, m.filter = v, ""
	}
	m.session = ""
}

// typeFilter takes a key while the filter is typed.
func (m *model) typeFilter(key, text string) {
	switch key {
	case "enter":
		m.typing = false
	case "esc":
		m.typing, m.filter = false, ""
	case "backspace":
		if runes := []rune(m.filter); len(runes) > 0 {
			m.filter = string(runes[:len(runes)-1])
		}
	default:
		for _, r := range text {
			if unicode.IsPrint(r) && len(m.filter) < 60 {
				m.filter += string(r)
			}
		}
	}
}

// move selects another row.
func (m *model) move(key string) {
	rows := m.rows()
	if len(rows) == 0 {
		return
	}
	page := m.room()
	steps := map[string]int{"up": -1, "down": 1, "pgup": -page, "pgdown": page, "home": -len(rows), "end": len(rows)}
	i := min(max(m.cursor(rows)+steps[key], 0), len(rows)-1)
	m.selected[m.view] = rows[i].name
}

// cursor returns the number of the selected row. If that row is gone, the first one is selected.
func (m *model) cursor(rows []row) int {
	return max(slices.IndexFunc(rows, func(r row) bool { return r.name == m.selected[m.view] }), 0)
}

// current is the name of the selected row, or "".
func (m *model) current() string {
	rows := m.rows()
	if len(rows) == 0 {
		return ""
	}
	return rows[m.cursor(rows)].name
}

// lookInto shows a session, or the sessions that belong to the selected row.
func (m *model) lookInto() {
	name := m.current()
	switch {
	case name == "" || m.session != "":
	case m.view == viewSessions:
		m.session = name
	default:
		m.show(viewSessions)
		m.filter = name
	}
}

// ask asks whether to do what a key is for, if the view has something to do it to.
func (m *model) ask(key string) {
	a := Action{Kind: map[string]ActionKind{"k": Kick, "l": Log, "p": Pause}[key]}
	session := m.selectedSession()
	switch {
	case m.view == viewSessions && session != nil && key == "k":
		a.Session, a.User = session.ID, session.User
	case m.view == viewSessions && session != nil && key == "l":
		a.User = session.User
	case m.view == viewUsers && key != "p":
		a.User = m.current()
	case m.view == viewServers && key == "p":
		a.Server = m.current()
		for _, s := range m.shown.States {
			if s.Name == a.Server && s.Paused > 0 {
				a.Kind = Resume
			}
		}
	}
	if a.User != "" || a.Server != "" {
		m.asking = &a
	}
}

// selectedSession is the session that is looked into or selected, or nil.
func (m *model) selectedSession() *admin.SessionState {
	id := m.session
	if id == "" && m.view == viewSessions {
		id = m.current()
	}
	i := slices.IndexFunc(m.shown.Sessions, func(s admin.SessionState) bool { return s.ID == id })
	if i < 0 {
		return nil
	}
	return &m.shown.Sessions[i]
}

// answer takes the answer to a question. Any key but y is no.
func (m *model) answer(key string) tea.Cmd {
	a := *m.asking
	m.asking = nil
	if key != "y" {
		m.note = "Nothing has changed."
		return nil
	}
	m.note = "..."
	return m.do(a)
}

// question asks whether to do something.
func question(a Action) string {
	switch {
	case a.Kind == Kick && a.Session != "":
		return fmt.Sprintf("End session %s of %s?", a.Session, a.User)
	case a.Kind == Kick:
		return fmt.Sprintf("End all sessions of %s?", a.User)
	case a.Kind == Log:
		return fmt.Sprintf("Log the commands of %s to files for %v?", a.User, LogTime)
	case a.Kind == Pause:
		return fmt.Sprintf("Hold all sign-ins to %s for %v?", a.Server, PauseTime)
	}
	return fmt.Sprintf("End the pause of %s?", a.Server)
}
