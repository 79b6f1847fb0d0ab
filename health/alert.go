package health

import (
	"fmt"
	"strings"
	"time"

	"portico/health/catalogue"
)

// Alert is a message to people: one for each cause, however many monitors are unhealthy because of it.
type Alert struct {
	Cause      string     `json:"cause"` // the dependency, and the mailbox server or target unless it is everybody's
	Dependency Dependency `json:"dependency"`
	Mailbox    string     `json:"mailbox,omitempty"`
	// that have the cause in common, sorted; empty unless mailbox servers have
	Servers  []string  `json:"servers,omitempty"`
	Since    time.Time `json:"since"`
	Monitors []string  `json:"monitors"` // identities, sorted
	Error    string    `json:"error"`    // of the first of them that named what was told last
	// the faults that people were told, in order; the last is the one that Cause and Error name. Empty if an earlier
	// version has opened the alert: then it is not told again
	Faults []string  `json:"faults,omitempty"`
	Ended  time.Time `json:"ended,omitzero"`
	Bundle string    `json:"bundle,omitempty"` // the file with all that was known when it began
	// it has ended since monitors are Disabled or Repairing, not since all is well
	Unwatched bool     `json:"unwatched,omitempty"`
	Tried     []string `json:"tried,omitempty"` // what recovery has done about it, a line for each step
	// the node that has opened it; Alertmanager knows the alert by that, whichever node repeats or ends it
	Node string `json:"node,omitempty"`
	// nodes whose monitors keep it open, in the order in which they have found it; it ends when none is left
	Holders []string `json:"holders,omitempty"`
	// nobody has to do anything: it is over, and this is what was done
	Notice bool `json:"-"`
	Again  bool `json:"-"` // whoever gets it has got it before
}

// Lasts says whether the alert is open and needs action.
func (a *Alert) Lasts() bool { return a.Ended.IsZero() && !a.Notice }

// Severity is how urgent the alert is, in the words of Prometheus' rules: critical, or info for a notice.
func (a *Alert) Severity() string {
	if a.Notice {
		return "info"
	}
	return "critical"
}

// Title is the cause, with the mailbox servers that have it in common.
func (a *Alert) Title() string {
	if len(a.Servers) == 0 {
		return a.Cause
	}
	return a.Cause + " of " + strings.Join(a.Servers, ", ")
}

// Subject is the alert in a line.
func (a *Alert) Subject() string {
	switch {
	case a.Notice:
		return "IMAP: " + a.Cause
	case a.Ended.IsZero():
		return "IMAP: " + a.Title() + " is at fault: " + strings.Join(a.Monitors, ", ")
	}
	if a.Unwatched {
		return "IMAP: " + a.Title() + ": alert withdrawn, because its monitors are Disabled or Repairing"
	}
	return "IMAP: " + a.Title() + " is healthy again"
}

// Message is the alert for people to read: what is at fault, since when, and what to look at.
func (a *Alert) Message() string {
	var text strings.Builder
	fmt.Fprintf(&text, "%s\n\nSince: %s\n", a.Subject(), a.Since.UTC().Format(time.RFC3339))
	if !a.Ended.IsZero() {
		fmt.Fprintf(&text, "Until: %s\n", a.Ended.UTC().Format(time.RFC3339))
	}
	if a.Mailbox != "" {
		fmt.Fprintf(&text, "_Mbx:%s\n", a.Mailbox)
	}
	for _, server := range a.Servers {
		fmt.Fprintf(&text, "_Mbx:%s\n", server)
	}
	if a.Error != "" {
		fmt.Fprintf(&text, "Error: %s\n", a.Error)
	}
	if a.Bundle != "" {
		fmt.Fprintf(&text, "Diagnostic bundle: %s\n", a.Bundle)
	}
	if len(a.Tried) > 0 {
		fmt.Fprintf(&text, "\nRecovery actions so far:\n  %s\n", strings.Join(a.Tried, "\n  "))
	}
	text.WriteString("\nTo see the fault and the recovery log, run:\n  portico health recovery\n")
	for _, id := range a.Monitors {
		set, rest, _ := strings.Cut(id, "/")
		name, target, _ := strings.Cut(rest, "/")
		if of := catalogue.Of(name); !of.Check {
			fmt.Fprintf(&text, "  portico probe run %s -o list\n", set+"/"+nameOf(of.Probe, target))
		} else {
			fmt.Fprintf(&text, "  portico health get %s -o list\n", name)
		}
	}
	return text.String()
}
