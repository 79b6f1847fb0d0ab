package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"portico/backend"
	"portico/cmd/portico/datadir"
	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
)

// Check returns all problems of a configuration file. It returns an error only if the file cannot be read.
func Check(ctx context.Context, file string) (found configs.Problems, err error) {
	config, err := configs.Load(file)
	if errors.As(err, &found) {
		return found, nil
	}
	if err != nil {
		return nil, err
	}
	found = checkLoaded(ctx, file, config)
	if chosen, err := choose(file); err == nil && chosen.note != "" {
		found = append(found, configs.Problem{File: file, Message: chosen.note, Warning: true})
	}
	return found, nil
}

// checkLoaded is Check for a configuration that could be read. file is its name in messages.
func checkLoaded(ctx context.Context, file string, config *configs.Config) (found configs.Problems) {
	found = slices.Concat(config.Warnings(), config.Advice())
	kept, unread := store.ReadOnly(config.DataDir)
	if unread != nil {
		kept = store.Memory()
	}
	defer kept.Close()
	stored := storedFindings(ctx, file, config, kept, unread) // first: what a start makes may write there
	refused := refusals(ctx, config, file, kept, unread, func(what string, err error) {
		found = append(found, configs.Problem{File: file, Message: what + ": " + err.Error(), Warning: true})
	})
	for _, err := range refused {
		found = append(found, configs.Problem{File: file, Message: err.Error()})
	}
	return append(found, stored...)
}

// refusals returns why a start with a configuration would fail, by making what a start makes. kept is what is stored,
// or an empty store, and unread why it cannot be read. warn gets what a start would only log.
func refusals(
	ctx context.Context, config *configs.Config, file string, kept store.Store, unread error,
	warn func(what string, err error),
) (all []error) {
	note := func(err error) {
		if err != nil {
			all = append(all, err)
		}
	}
	_, err := adminAccess(config.Admin)
	note(err)
	_, err = newNodes(config)
	note(err)
	if unread != nil && !errors.Is(unread, fs.ErrPermission) { // storedFindings says so
		return append(all, datadir.Error(unread, config, file))
	}
	state, err := newMailboxState(ctx, kept, kept, nil, warn)
	if err != nil {
		return append(all, err)
	}
	f, err := newFront(ctx, config, state)
	note(err)
	if err == nil {
		f.tier.Close()
	}
	return all
}

// storedFindings lists the settings in which a change at run time beats the file, and the databases whose active copy
// the file does not have: with one of those it cannot be used. kept and unread are as of refusals, which speaks of a
// damaged store.
func storedFindings(ctx context.Context, file string, config *configs.Config, kept store.Store,
	unread error) (found configs.Problems) {
	settings, active, err := readKept(ctx, config, kept)
	if damage := (*store.Damage)(nil); !errors.As(unread, &damage) {
		err = cmp.Or(unread, err)
	}
	if err != nil {
		found = append(found, configs.Problem{File: file,
			Message: "cannot compare the file with the store: " + err.Error(), Warning: true})
	}
	for _, s := range settings {
		if s.File != "" {
			text := fmt.Sprintf("the stored value %s overrides the file's %s; `portico settings reset %s` ends that",
				s.Value, s.File, s.Name)
			found = append(found, configs.Problem{File: file, Path: "settings." + s.Name, Message: text,
				Warning: true})
		}
	}
	for _, name := range config.DatabaseNames() {
		if server, ok := active[name]; ok && !slices.Contains(config.Databases[name].Copies, server) {
			text := fmt.Sprintf("database %s is active on %s, which is not among its copies: keep that copy until "+
				"`portico database move %s SERVER`", name, server, name)
			found = append(found, configs.Problem{File: file, Message: text})
		}
	}
	return found
}

// readKept reads the settings that a store has, and for each database the server with the active copy.
func readKept(ctx context.Context, config *configs.Config, s store.Store) (settings []admin.SettingState,
	active map[string]string, err error) {
	item, err := readStored(ctx, newStored(s, s))
	if err != nil {
		return nil, nil, err
	}
	changed, _ := overlay(config, item.Value)
	active, err = backend.ActiveCopies(ctx, s)
	return settingStates(config.Settings, changed.Settings, item.Value), active, err
}
