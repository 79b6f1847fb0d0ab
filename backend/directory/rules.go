package directory

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// Rule is one line of Rules. Exactly one of Match and Regexp is given.
type Rule struct {
	Match  string // the whole name; * is any characters, ? is one
	Regexp string // Go's syntax, held against the whole name

	// the name to go by from here on; $1 is what the first * or group was, ${1} before a letter or digit
	User     string
	Database string
	Server   string
	Mode     string // passthrough or master; "" leaves it
	Refuse   string // why the user must not sign in; for the log
}

// Rules are a Source that needs nobody to ask. The first rule that fits a name counts. They are safe for concurrent
// use.
type Rules struct{ rules []compiled }

type compiled struct {
	Rule
	name *regexp.Regexp
}

// NewRules compiles rules. An error tells which is wrong, counted from 0.
func NewRules(rules []Rule) (*Rules, error) {
	r := &Rules{}
	for i, rule := range rules {
		name, err := rule.Compile()
		if err != nil {
			return nil, fmt.Errorf("rule %d: %w", i, err)
		}
		r.rules = append(r.rules, compiled{rule, name})
	}
	return r, nil
}

// Compile checks a rule and returns the expression for the names it fits.
func (r Rule) Compile() (*regexp.Regexp, error) {
	expression := r.Regexp
	switch {
	case (r.Match == "") == (r.Regexp == ""):
		return nil, errors.New("needs exactly one of match and regexp")
	case r.Match != "":
		expression = globExpression(r.Match)
	}
	name, err := regexp.Compile(`^(?:` + expression + `)$`)
	if err != nil {
		return nil, err
	}
	switch {
	case r.User+r.Database+r.Server+r.Mode+r.Refuse == "":
		return nil, errors.New("has no effect: needs a user, database, server, mode or refuse")
	case r.Database != "" && r.Server != "":
		return nil, errors.New("has both a database and a server: give one of the two")
	case r.Refuse != "" && r.User+r.Database+r.Server+r.Mode != "":
		return nil, errors.New("has refuse together with keys for users who may sign in")
	case r.Mode != "":
		return name, new(Entry).setMode(r.Mode)
	}
	return name, nil
}

// globExpression turns a pattern into an expression with a group for each * and ?.
func globExpression(pattern string) string {
	quoted := regexp.QuoteMeta(pattern)
	return strings.NewReplacer(`\*`, `(.*)`, `\?`, `(.)`).Replace(quoted)
}

// Lookup implements Source.
func (r *Rules) Lookup(_ context.Context, q Query) (Entry, error) {
	for i := range r.rules {
		rule := &r.rules[i]
		if rule.User == "" {
			if !rule.name.MatchString(q.User) {
				continue
			}
			return rule.entry("")
		}
		groups := rule.name.FindStringSubmatchIndex(q.User)
		if groups == nil {
			continue
		}
		return rule.entry(string(rule.name.ExpandString(nil, rule.User, q.User, groups)))
	}
	return Entry{}, ErrNotFound
}

func (r *compiled) entry(user string) (Entry, error) {
	if r.Refuse != "" {
		return Entry{}, &RefusedError{Reason: r.Refuse}
	}
	return Entry{User: user, Database: r.Database, Server: r.Server, Mode: modes[r.Mode]}, nil
}
