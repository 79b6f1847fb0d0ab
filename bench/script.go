package bench

import (
	"context"
	"fmt"
)

// newScript returns the script of one session for a profile that is not mixed.
func newScript(p *Profile, run string, number int) script {
	own := func(kind string) folder {
		return folder{name: fmt.Sprintf("%s%s-%d%s", p.Mailbox, run, number, kind)}
	}
	switch {
	case p.Fetch != nil && p.Fetch.Mail == "sized":
		return &sizedFetch{profile: p.Fetch}
	case p.Fetch != nil:
		return &fetch{profile: p.Fetch, folder: own("")}
	case p.Phone != nil:
		return &phone{profile: p.Phone, folder: own("")}
	case p.Desktop != nil:
		return &desktop{profile: p.Desktop, folder: own(""), archive: own("-filed")}
	case p.Webmail != nil:
		return &webmail{profile: p.Webmail}
	case p.Bulk != nil:
		return &bulk{profile: p.Bulk, folder: own("")}
	case p.Storm != nil:
		return &storm{profile: p.Storm}
	case p.recording != nil:
		return &recorded{session: &p.recording.Sessions[number]}
	case p.Commands != nil:
		return &recorded{mix: p.Commands}
	}
	return noop{}
}

// resident is embedded by scripts whose sessions stay signed in.
type resident struct{}

func (resident) stays() bool                           { return true }
func (resident) setUp(context.Context, *session) error { return nil }
func (resident) tearDown(*session) error               { return nil }
