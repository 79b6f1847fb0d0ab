package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"portico/configs/suggest"
)

// suggestions maps words that users try to the commands that they mean. A key may have two words: a command and a word
// below it.
var suggestions = map[string]string{
	"unlock": "penalty clear USER", "user unlock": "penalty clear USER", "user clear": "penalty clear USER",
	"user unblock": "penalty clear USER",
	"locked":       "penalty list", "lockout": "penalty list", "user locked": "penalty list",
	"user penalty": "penalty list --user USER",
	"user list":    "session list", "users": "session list", "sessions": "session list", "who": "session list",
	"user show": "user where USER", "user status": "user where USER", "user get": "user where USER",
	"where": "user where USER",
	"kick":  "user kick USER", "session kick": "session kill ID", "disconnect": "user kick USER",
	"session end": "session kill ID",
	"status":      "health report, portico server list or portico database status", "server status": "server list",
	"server show": "server list",
	"alert":       "health alerts", "alerts": "health alerts", "monitor": "health get", "monitors": "health get",
	"probes":  "probe list",
	"servers": "server list", "databases": "database status", "database list": "database status",
	"failover": "server block SERVER --move", "drain": "maintenance start", "block": "server block SERVER",
	"move":      "database move DATABASE SERVER",
	"rebalance": "database rebalance", "restart": "service restart", "logs": "log show", "tail": "log tail",
	"slow": "session slow", "backup": "store backup", "restore": "store restore COPY", "recovery": "health recovery",
	"explain": "health explain", "mute": "override add", "silence": "override add",
}

// meantCommand suggests a command below cmd for words that name none: a synonym, or a name with a similar spelling.
func meantCommand(cmd *cobra.Command, words []string) string {
	_, above, _ := strings.Cut(cmd.CommandPath(), " ")
	word := strings.ToLower(words[0])
	if wish := suggestions[strings.TrimSpace(above+" "+word)]; wish != "" {
		return fmt.Sprintf(": did you mean portico %s?", wish)
	}
	var names []string
	for _, below := range cmd.Commands() {
		if below.IsAvailableCommand() {
			names = append(names, below.Name())
		}
	}
	if near := suggest.Nearest(word, names); near != "" {
		return fmt.Sprintf(": did you mean %q?", near)
	}
	if above == "" { // exactly one other command may have it
		var paths []string
		for _, noun := range cmd.Commands() {
			for _, below := range noun.Commands() {
				if below.Name() == word && below.IsAvailableCommand() {
					paths = append(paths, below.CommandPath())
				}
			}
		}
		if len(paths) > 0 {
			slices.Sort(paths)
			return ": did you mean " + strings.Join(paths, " or ") + "?"
		}
	}
	return ""
}
