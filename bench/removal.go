package bench

import (
	"fmt"
	"strings"
	"time"
)

// removeMailbox deletes a mailbox, and looks whether it is gone.
func (c *clientConn) removeMailbox(name string) error {
	if err := c.command(rowDelete, name, time.Time{}, nil); err != nil {
		return err
	}
	there := false
	err := c.command(rowList, fmt.Sprintf(`"" "%s"`, name), time.Time{}, func(r *response) {
		there = there || isListed(r) && listedName(r) == name
	})
	if err == nil && there {
		return failed(KindRemains, rowDelete, "the answer was OK, and LIST still shows the mailbox %s", name)
	}
	return err
}

// isListed reports whether an untagged LIST is of a mailbox with messages, not only of a name in the hierarchy.
func isListed(r *response) bool {
	attributes := strings.ToLower(string(r.args))
	return !strings.Contains(attributes, `\noselect`) && !strings.Contains(attributes, `\nonexistent`)
}
