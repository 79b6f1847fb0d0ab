package node

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"portico/configs"
	"portico/health/admin"
)

// configAPI implements admin.Configurations.
type configAPI struct{ s *service }

var _ admin.Configurations = configAPI{}

// Diff implements admin.Configurations.
func (c configAPI) Diff(ctx context.Context) (diff admin.ConfigDiff, err error) {
	chosen, err := choose(c.s.config.path)
	if err != nil {
		return diff, invalidConfig(err)
	}
	file := chosen.config
	if !bytes.Equal(chosen.text, chosen.file) {
		if file, err = configs.LoadText(c.s.config.path, chosen.file); err != nil {
			return diff, invalidConfig(err)
		}
	}
	diff = admin.ConfigDiff{File: c.s.config.path, Running: c.s.applies.current().number, AtStart: chosen.number,
		Keys: []admin.DiffRow{}}
	stored, err := readStored(ctx, c.s.store.stored)
	if err != nil {
		return diff, err
	}
	started, _ := overlay(chosen.config, stored.Value)
	rows := make(map[string]*admin.DiffRow)
	running := c.s.current().config.AsRunning(c.s.config.started)
	row := func(key, running string) *admin.DiffRow {
		if rows[key] == nil {
			diff.Keys = append(diff.Keys, admin.DiffRow{Key: key, Running: running, File: running, AtStart: running})
			rows[key] = &diff.Keys[len(diff.Keys)-1]
		}
		return rows[key]
	}
	toFile, toStart := configs.Differences(running, file), configs.Differences(running, started)
	diff.Keys = make([]admin.DiffRow, 0, len(toFile)+len(toStart)) // rows keep their place
	for _, d := range toFile {
		row(d.Path, d.Was).File = d.Now
	}
	for _, d := range toStart {
		row(d.Path, d.Was).AtStart = d.Now
	}
	return diff, nil
}

// invalidConfig gives the errors of a file their kind.
func invalidConfig(err error) error {
	var problems configs.Problems
	if errors.As(err, &problems) {
		return admin.Of(admin.KindInvalid, problems.Errors())
	}
	return err
}

// candidate is what a request wants in force.
func (c configAPI) candidate(ctx context.Context, in admin.Candidate) (candidate, error) {
	wanted := candidate{text: []byte(in.Candidate), name: c.s.config.path, who: admin.Who(ctx), from: c.s.config.path}
	if in.Candidate != "" {
		wanted.from = in.Name
		wanted.name = filepath.Join(filepath.Dir(c.s.config.path), filepath.Base(in.Name))
		return wanted, nil
	}
	var err error
	wanted.text, err = configs.Read(c.s.config.path)
	return wanted, err
}

// Apply implements admin.Configurations.
func (c configAPI) Apply(ctx context.Context, in admin.Candidate) (made admin.ConfigRecord, err error) {
	wanted, err := c.candidate(ctx, in)
	if err != nil {
		return made, err
	}
	return c.apply(ctx, wanted)
}

// apply puts a configuration in force, and waits until it has been watched.
func (c configAPI) apply(ctx context.Context, wanted candidate) (made admin.ConfigRecord, err error) {
	t, err := c.s.applies.begin(ctx, wanted)
	c.s.reloads.count(err, time.Now())
	switch {
	case err != nil:
		return made, fmt.Errorf("nothing has changed: %w", invalidConfig(err))
	case t != nil:
		select {
		case <-t.done:
			err = t.err
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
	}
	if err != nil {
		return made, err
	}
	for _, r := range c.History(ctx) {
		if r.InForce {
			r.Restart = configs.NeedsRestart(c.s.config.started, c.s.current().config)
			return r, nil
		}
	}
	return made, nil
}

// Rollback implements admin.Configurations.
func (c configAPI) Rollback(ctx context.Context, number int) (made admin.ConfigRecord, err error) {
	if number == 0 {
		if number, err = rollbackTarget(c.s.applies.kept.Records(), c.s.applies.current().number); err != nil {
			return made, admin.Of(admin.KindRefused, err)
		}
	}
	text, err := c.text(number)
	if err != nil {
		return made, err
	}
	record, _ := c.s.applies.kept.Record(number)
	return c.apply(ctx, candidate{text: text, name: c.s.numbered(number), who: admin.Who(ctx),
		from: fmt.Sprint("configuration ", number), back: cmp.Or(record.BackTo, number)})
}

// History implements admin.Configurations.
func (c configAPI) History(context.Context) []admin.ConfigRecord {
	records, inForce := c.s.applies.kept.Records(), c.s.applies.current().number
	target, err := rollbackTarget(records, inForce)
	all := []admin.ConfigRecord{}
	for _, r := range records {
		all = append(all, admin.ConfigRecord{Number: r.Number, Time: r.Time, Who: r.Who, From: r.From,
			Result: string(r.Result), Reason: r.Reason, InForce: r.Number == inForce,
			Rollback: err == nil && r.Number == target})
	}
	return all
}

// Text implements admin.Configurations.
func (c configAPI) Text(_ context.Context, number int) (string, error) {
	text, err := c.text(number)
	return string(text), err
}

func (c configAPI) text(number int) ([]byte, error) {
	if _, ok := c.s.applies.kept.Record(number); !ok {
		return nil, admin.Unknown(fmt.Errorf("there is no configuration %d: portico config history lists them", number))
	}
	return c.s.applies.kept.Text(number)
}

// Plan implements admin.Configurations.
func (c configAPI) Plan(ctx context.Context, in admin.Candidate) (plan admin.ConfigPlan, err error) {
	wanted, err := c.candidate(ctx, in)
	if err != nil {
		return plan, err
	}
	loaded, err := configs.LoadText(wanted.name, wanted.text)
	if err != nil {
		return plan, invalidConfig(err)
	}
	next, err := c.s.prepare(ctx, loaded)
	if err != nil {
		return plan, err
	}
	defer next.front.tier.Close()
	if err := c.s.clients.server.CheckReload(next.settings()); err != nil {
		return plan, err
	}
	listeners, err := c.s.clients.listeners.prepare(next.config.Listeners, nil)
	if err != nil {
		return plan, err
	}
	listeners.abandon()
	renamed, err := next.tier().Preview(ctx)
	if err != nil {
		return plan, err
	}
	running := c.s.current().config.AsRunning(c.s.config.started)
	plan = admin.ConfigPlan{Changes: []admin.PlannedChange{}, Notes: []string{}}
	for _, d := range configs.Differences(running, next.config) {
		effect := effectOf(d.Path)
		if d.Restart {
			effect = restart
		}
		plan.Changes = append(plan.Changes, admin.PlannedChange{Key: d.Path, Was: d.Was, Now: d.Now, Effect: effect})
	}
	plan.Notes = append(plan.Notes, c.consequences(ctx, running, next.config, renamed)...)
	for _, warning := range slices.Concat(loaded.Warnings(), loaded.Advice()) {
		plan.Warnings = append(plan.Warnings, warning.Error())
	}
	return plan, nil
}
