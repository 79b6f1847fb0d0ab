package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"
)

// LeftBehind is a mailbox that a run has created and not removed.
type LeftBehind struct {
	User    string `json:"user"`
	Mailbox string `json:"mailbox"`
	Removed bool   `json:"removed"`
	Problem string `json:"problem,omitempty"` // why it could not be removed
}

// Clean removes the mailboxes that earlier runs have left behind, of the options' users on their first target. With
// listOnly it only lists them. It finds them by the names that sessions of the profile generate, so it also finds
// those of a current run. The error is about users whose mailboxes could not be listed.
func Clean(ctx context.Context, o Options, listOnly bool) ([]LeftBehind, error) {
	if err := o.complete(); err != nil {
		return nil, err
	}
	e := &engine{options: o, unseen: &shard{}, started: make(chan struct{}), over: make(chan struct{})}
	ours, err := regexp.Compile("^" + regexp.QuoteMeta(o.Profile.Mailbox) + "[0-9a-f]{8,}-[0-9]+(-filed)?$")
	if err != nil {
		return nil, err
	}
	var all []LeftBehind
	var errs []error
	for _, user := range o.Users {
		left, err := e.cleanUser(ctx, user, ours, listOnly)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %s", user.Name, shown(err.Error(), o.credential(user))))
		}
		if all = append(all, left...); ctx.Err() != nil {
			break
		}
	}
	return all, errors.Join(errs...)
}

// cleanUser removes the mailboxes of one user.
func (e *engine) cleanUser(ctx context.Context, user User, ours *regexp.Regexp, listOnly bool) ([]LeftBehind, error) {
	o := &e.options
	s, err := e.newSession(0, user, &o.Targets[0])
	if err != nil {
		return nil, err
	}
	defer s.disconnect()
	c, err := s.signIn(ctx, time.Time{})
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, s.cutOff)
	defer stop()
	var left []LeftBehind
	err = c.command(rowList, fmt.Sprintf(`"" "%s*"`, o.Profile.Mailbox), time.Time{}, func(r *response) {
		if name := listedName(r); ours.MatchString(name) {
			left = append(left, LeftBehind{User: user.Name, Mailbox: name})
		}
	})
	for i := range left {
		if err != nil || listOnly {
			break
		}
		mailbox := &left[i]
		refused := c.removeMailbox(mailbox.Mailbox)
		switch mailbox.Removed = refused == nil; {
		case isKind(refused, KindRefused), isKind(refused, KindBad), isKind(refused, KindRemains):
			mailbox.Problem = shown(refused.Error(), o.credential(user))
		default:
			err = refused
		}
	}
	if err == nil {
		c.command(rowLogout, "", time.Time{}, nil) // all is done
	}
	return left, err
}

// listedName returns the mailbox name of an untagged LIST, if it is as plain as generated names are.
func listedName(r *response) string {
	if !r.is("LIST") || len(r.literals) > 0 {
		return ""
	}
	name := r.args[bytes.LastIndexByte(r.args, ' ')+1:]
	if len(name) > 1 && name[0] == '"' && name[len(name)-1] == '"' {
		name = name[1 : len(name)-1]
	}
	return string(name)
}
