package admin

import (
	"fmt"
	"strings"

	"portico/health/admin/table"
	"portico/health/components"
)

// ComponentName names a component, and the mailbox server that it is of.
func ComponentName(component, server string) string {
	if server == "" {
		return component
	}
	return component + " of " + server
}

// RequestText says what a requester wants, since when, and where the entry comes from: of which component it is, and
// who made it.
func RequestText(component string, r components.Request) string {
	text := fmt.Sprintf("%s by %s since %s", r.State, r.Requester, table.Time(r.At))
	if !r.Until.IsZero() {
		text += " until " + table.Time(r.Until)
	}
	var from []string
	if r.Component != component {
		from = append(from, r.Component)
	}
	if r.Source != "" {
		from = append(from, "set by "+Asker(r.Source, r.Who))
	}
	if len(from) > 0 {
		text += " (" + strings.Join(from, ", ") + ")"
	}
	return text
}

// Asker names a kind of requester, and the user or token behind it where one is known.
func Asker(kind, who string) string {
	if who == "" {
		return kind
	}
	return kind + " " + who
}
