package cli

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"portico/configs"
	"portico/health/admin"
	"portico/health/components"
)

// Shells complete commands and flags by themselves (cobra). This file adds the names that arguments and flags take. The
// word for an argument in a command's usage, such as SERVER, says which names they are.

// completionTime bounds how long somebody who presses Tab waits for Portico.
const completionTime = 2 * time.Second

// completionUsers is how many users or sessions are offered at most.
const completionUsers = 100

// completionNames look up the names for the words in usages. The result may have others than begin with what is typed.
var completionNames = map[string]func(ctx context.Context, a *apiCommand, typed string) []string{
	"SERVER":    names(func(n admin.Names) []string { return n.Servers }),
	"DATABASE":  names(func(n admin.Names) []string { return n.Databases }),
	"NODE":      names(func(n admin.Names) []string { return n.Nodes }),
	"COMMAND":   names(func(n admin.Names) []string { return n.Commands }),
	"COMPONENT": rowNames(admin.PathComponents, func(c components.State) string { return c.Component }),
	"RULE": func(ctx context.Context, a *apiCommand, _ string) (all []string) {
		var log admin.LogStatus
		if a.get(ctx, admin.PathLog, &log) == nil {
			for _, r := range log.Rules {
				all = append(all, r.ID)
			}
		}
		return all
	},
	"USER":      sessionNames("User", func(s admin.SessionState) string { return s.User }),
	"SESSION":   sessionIDs,
	"ID":        sessionIDs,
	"HEALTHSET": rowNames(admin.PathMonitors, func(m admin.MonitorRow) string { return m.HealthSetName }),
	"MONITOR":   rowNames(admin.PathMonitors, func(m admin.MonitorRow) string { return m.Name }),
	"PROBE":     rowNames(admin.PathProbes, func(p admin.ProbeRow) string { return p.Name }),
	"ITEM":      rowNames(admin.PathItems, func(i admin.ItemRow) string { return i.Name }),
	"HEALTHSET/MONITOR": rowNames(admin.PathMonitors, func(m admin.MonitorRow) string {
		return identity(m.HealthSetName, m.Name, m.TargetResource)
	}),
	"HEALTHSET/PROBE": rowNames(admin.PathProbes, func(p admin.ProbeRow) string { return p.Identity }),
	"HEALTHSET/ITEM":  rowNames(admin.PathItems, func(i admin.ItemRow) string { return i.Identity }),
	"IDENTITY":        rowNames(admin.PathItems, func(i admin.ItemRow) string { return i.Identity }),
	"NAME":            func(context.Context, *apiCommand, string) []string { return configs.Settings{}.Names() },
	"NAME=VALUE": func(context.Context, *apiCommand, string) (all []string) {
		for _, name := range (configs.Settings{}).Names() {
			all = append(all, name+"=")
		}
		return all
	},
}

// completeNames makes the commands below cmd that ask a running Portico offer names.
func completeNames(cmd *cobra.Command) {
	for _, below := range cmd.Commands() {
		completeNames(below)
	}
	if cmd.Flags().Lookup("admin") == nil {
		return
	}
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		return complete(cmd, usageWord(cmd.Use, len(args)), typed)
	}
	cmd.Flags().VisitAll(func(flag *pflag.Flag) {
		word, _ := pflag.UnquoteUsage(flag)
		word = strings.ToUpper(word)
		if flag.Name == "node" || flag.Name == "server" && word != "SERVER" {
			word = "NODE"
		}
		if completionNames[word] == nil || word == "NAME" {
			return
		}
		cmd.RegisterFlagCompletionFunc(flag.Name,
			func(cmd *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
				return complete(cmd, word, typed)
			})
	})
}

// usageWord returns the word for argument number n in a command's usage, "" if there is none. One that ends in dots
// stands for all that follow.
func usageWord(use string, n int) string {
	words := strings.Fields(use)[1:]
	if last := len(words) - 1; last >= 0 && n > last && strings.Contains(words[last], "...") {
		n = last
	}
	if n >= len(words) || strings.HasPrefix(words[n], "-") {
		return ""
	}
	return strings.NewReplacer("[/TARGET]", "", "...", "", "[", "", "]", "").Replace(words[n])
}

// complete lists what may stand for a word of a usage, such as SERVER or MONITOR|HEALTHSET. What is not in capitals, as
// in Blocked|reset, is meant as it is.
func complete(cmd *cobra.Command, word, typed string) (all []string, _ cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), completionTime)
	defer cancel()
	directive := cobra.ShellCompDirectiveNoFileComp
	for one := range strings.SplitSeq(word, "|") {
		switch lookUp := completionNames[one]; {
		case strings.HasPrefix(one, "FILE"):
			return nil, cobra.ShellCompDirectiveDefault
		case lookUp != nil:
			all = append(all, lookUp(ctx, askedBy(cmd), typed)...)
		case one != strings.ToUpper(one) && !strings.HasPrefix(one, "-"):
			all = append(all, one)
		}
		if strings.HasSuffix(one, "=VALUE") {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(name string) bool {
		return name == "" || !strings.HasPrefix(name, typed)
	}), directive
}

// askedBy returns what a command would ask Portico with, by the flags that are typed so far.
func askedBy(cmd *cobra.Command) *apiCommand {
	twin := &cobra.Command{}
	a := apiFlags(twin)
	cmd.Flags().Visit(func(typed *pflag.Flag) {
		if flag := twin.Flags().Lookup(typed.Name); flag != nil {
			flag.Value.Set(typed.Value.String())
		}
	})
	a.notes = io.Discard
	return a
}

// names returns what looks up some of the names that requests may have.
func names(of func(admin.Names) []string) func(context.Context, *apiCommand, string) []string {
	return func(ctx context.Context, a *apiCommand, _ string) []string {
		var known admin.Names
		a.get(ctx, admin.PathNames, &known)
		return of(known)
	}
}

// rowNames returns what looks up the names of the rows at a path.
func rowNames[Row any](path string, name func(Row) string) func(context.Context, *apiCommand, string) []string {
	return func(ctx context.Context, a *apiCommand, _ string) (all []string) {
		var rows []Row
		a.get(ctx, path, &rows)
		for _, row := range rows {
			all = append(all, name(row))
		}
		return all
	}
}

// sessionNames returns what looks up the sessions in which a field begins with what is typed.
func sessionNames(field string,
	name func(admin.SessionState) string) func(context.Context, *apiCommand, string) []string {
	return func(ctx context.Context, a *apiCommand, typed string) []string {
		query := admin.SessionQuery{}
		query.Limit = completionUsers
		if typed != "" && !strings.ContainsAny(typed, "'* ") {
			query.Where = field + " -like '" + typed + "*'"
		}
		return rowNames(admin.PathSessions+"?"+query.Query().Encode(), name)(ctx, a, typed)
	}
}

var sessionIDs = sessionNames("ID", func(s admin.SessionState) string { return s.ID })

// identity returns the identity of a probe or monitor.
func identity(set, name, target string) string {
	return strings.TrimSuffix(set+"/"+name+"/"+target, "/")
}
