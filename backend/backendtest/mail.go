package backendtest

import (
	"fmt"
	"strings"
	"time"

	"github.com/emersion/go-imap/v2"
)

// demoDomain is where demo mail comes from (RFC 2606).
const demoDomain = "example.org"

// demoMail is one message of the demo before it is addressed.
type demoMail struct {
	mailbox, from, subject, body string
	age                          time.Duration
	flags                        []imap.Flag
}

// DemoMail returns a handful of messages to the user, dated back from now. Their
// Received line names the server that holds them, so that a reader of the demo sees
// where a session ended up.
func DemoMail(user, server string, now time.Time) []Mail {
	var mail []Mail
	for _, d := range demoMails() {
		mail = append(mail, Mail{Mailbox: d.mailbox, Flags: d.flags, Message: d.message(user, server, now)})
	}
	return mail
}

func (d demoMail) message(user, server string, now time.Time) []byte {
	local, _, _ := strings.Cut(user, "@")
	sent := now.Add(-d.age)
	sender, _, _ := strings.Cut(d.from, " ")
	var b strings.Builder
	fmt.Fprintf(&b, "Received: by %s; %s\n", server, sent.Format(time.RFC1123Z))
	fmt.Fprintf(&b, "Message-ID: <%d.%s.%s@%s>\n", sent.Unix(), strings.ToLower(sender), local, demoDomain)
	fmt.Fprintf(&b, "Date: %s\nFrom: %s <%s@%s>\n", sent.Format(time.RFC1123Z), d.from,
		strings.ToLower(sender), demoDomain)
	fmt.Fprintf(&b, "To: %s@%s\nSubject: %s\n", local, demoDomain, d.subject)
	b.WriteString("MIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n\n")
	b.WriteString(strings.TrimSpace(d.body) + "\n")
	return []byte(strings.ReplaceAll(b.String(), "\n", "\r\n"))
}

func demoMails() []demoMail {
	const hour, day = time.Hour, 24 * time.Hour
	seen := []imap.Flag{imap.FlagSeen}
	return []demoMail{
		{"INBOX", "Portico Demo", "Welcome to the demo", `
Hello,

you reached this mailbox through Portico: it took your connection, found the
server that holds your mail and has moved the bytes ever since. The first line of
this message's header names that server.

The demo's terminal says when your session began and ends, and the page that it
names for metrics counts every command you give.`, 10 * time.Minute, nil},
		{"INBOX", "Grace Lindqvist", "Ferry times for Saturday", `
The early boat leaves at 07:40, the next one not before 11:15. I vote for the
early one and a second breakfast on deck.

Grace`, 5 * hour, nil},
		{"INBOX", "Tomasz Berg", "Re: Shelf for the workshop", `
Measured again: 182 cm between the window and the pipe, so the 180 boards fit
with a little air on both sides. I can bring the long drill.

> Do we need the narrow boards after all?

No, the wide ones will do.`, 26 * hour, seen},
		{"INBOX", "Irène Caron", "Menu: crème brûlée, naïvely", `
Four yolks, half a litre of cream, one vanilla pod, and no hurry at all.
The torch is in the drawer under the café cups. À bientôt!`, 2 * day, []imap.Flag{imap.FlagSeen, imap.FlagFlagged}},
		{"INBOX", "Printer Basement", "Toner low", `
Cartridge K is at 8 percent. I keep printing until I cannot.`, 3 * day, seen},
		{"Archive", "Choir Office", "Rehearsals move to Thursdays", `
From next month we meet on Thursdays at half past seven, same room. Please bring
the green folder and a pencil.`, 40 * day, seen},
		{"Sent", "Me Myself", "Keys", `
The spare keys are with the neighbours on the second floor.`, 6 * day, seen},
	}
}
