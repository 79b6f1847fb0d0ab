package node

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
)

// readStored returns the settings that were changed at run time, by name. What cannot be read is not taken for none:
// the file may be weaker than what an operator has set, such as who may sign in and how.
func readStored(ctx context.Context, s stored) (store.Item[map[string]string], error) {
	item, err := s.settings.Get(ctx)
	if err != nil {
		return item, fmt.Errorf("read the changed settings: %w", err)
	}
	if item.Err != nil {
		return item, &unreadableSettings{item.Err}
	}
	if item.Value == nil {
		item.Value = make(map[string]string)
	}
	return item, nil
}

// unreadableSettings says that the store's entry cannot be read, and what to do.
type unreadableSettings struct{ err error }

func (e *unreadableSettings) Error() string {
	return fmt.Sprintf("cannot read the changed settings: %v. The file's values may be weaker, so they do not replace "+
		"them. If Portico runs, run `portico settings reset --all`; else put back a copy of the store with `portico "+
		"store restore`", e.err)
}

func (e *unreadableSettings) Unwrap() error { return e.err }

// overlay returns a file's configuration with what is stored over it. What cannot be taken, as when a later version
// has other bounds, is passed over and told.
func overlay(config *configs.Config, stored map[string]string) (*configs.Config, []error) {
	changed := *config
	var failures []error
	for _, name := range slices.Sorted(maps.Keys(stored)) {
		set, err := changed.Settings.With(name, stored[name])
		if err != nil {
			failures = append(failures, err)
			continue
		}
		changed.Settings = set
	}
	return &changed, failures
}

// withStored is overlay with what the store has, and a line in the log for each setting in which it differs from the
// file.
func (s *service) withStored(config *configs.Config) (*configs.Config, error) {
	item, err := readStored(context.Background(), s.store.stored)
	if err != nil {
		return nil, err
	}
	changed, failures := overlay(config, item.Value)
	for _, err := range failures {
		s.log.Warn().Err(err).Msg("stored setting not usable: the file's value applies")
	}
	for _, state := range settingStates(config.Settings, changed.Settings, item.Value) {
		if state.File != "" {
			s.log.Info().Str("setting", state.Name).Str("stored", state.Value).Str("file", state.File).
				Msg("a stored setting overrides the file")
		}
	}
	return changed, nil
}

// settingStates lists all settings. File is given where the file says another value.
func settingStates(inFile, inForce configs.Settings, stored map[string]string) []admin.SettingState {
	preset := configs.Default().Settings
	var states []admin.SettingState
	for _, name := range inForce.Names() {
		value, _ := inForce.Text(name) // the name is one of its own
		file, _ := inFile.Text(name)
		initial, _ := preset.Text(name)
		state := admin.SettingState{Name: name, Value: value, Source: "file"}
		switch _, there := stored[name]; {
		case there:
			state.Source = "stored"
		case value == initial:
			state.Source = "default"
		}
		if file != value {
			state.File = file
		}
		states = append(states, state)
	}
	return states
}

// settingStates lists all settings as they are in force, with the folder of the protocol log where none is named.
func (c settingsAPI) settingStates(current *inForce, stored map[string]string) []admin.SettingState {
	states := settingStates(current.fromFile.Settings, current.config.Settings, stored)
	for i := range states {
		if states[i].Source == "stored" && c.s.cluster != nil {
			states[i].Source = "site"
		}
		if states[i].Name == "log_file_location" {
			states[i].Value = protocolSettings(current.config).Files.Location
		}
	}
	return states
}

// settingsAPI implements admin.Settings.
type settingsAPI struct{ s *service }

// Settings implements admin.Settings.
func (c settingsAPI) Settings(ctx context.Context) ([]admin.SettingState, error) {
	c.s.config.changing.Lock()
	defer c.s.config.changing.Unlock()
	item, err := readStored(ctx, c.s.store.stored)
	if err != nil {
		return nil, err
	}
	return c.settingStates(c.s.current(), item.Value), nil
}

// ChangeSettings implements admin.Settings.
func (c settingsAPI) ChangeSettings(ctx context.Context, change admin.SettingsChange,
	check func(before []admin.SettingState) error) ([]admin.SettingState, error) {
	var (
		item   store.Item[map[string]string]
		before *inForce
	)
	err := c.s.apply(ctx, func(current *inForce) (next *inForce, err error) {
		item, err = readStored(ctx, c.s.store.stored)
		var states []admin.SettingState
		if unreadable := (*unreadableSettings)(nil); errors.As(err, &unreadable) && change.ResetAll {
			item.Value, err = make(map[string]string), nil
		} else if err == nil {
			states = c.settingStates(current, item.Value)
		}
		if err != nil {
			return nil, err
		}
		if err := check(states); err != nil {
			return nil, err
		}
		if err := changeStored(item.Value, current.fromFile.Settings, change); err != nil {
			return nil, fmt.Errorf("nothing has changed: %w", err)
		}
		before = current
		changed, _ := overlay(current.fromFile, item.Value)
		return c.s.withSettings(ctx, current, changed)
	}, func() error {
		_, err := c.s.store.settings.Put(ctx, item)
		return err
	})
	if err != nil {
		return nil, err
	}
	current := c.s.current()
	c.s.settingsChanged(item.Value, "settings changed by an operator")
	states := c.settingStates(current, item.Value)
	for i := range states {
		was, _ := before.config.Settings.Text(states[i].Name) // the name is one of its own
		if text, _ := current.config.Settings.Text(states[i].Name); text != was {
			states[i].Was = was
			if was == "" {
				states[i].Was = `""`
			}
		}
	}
	return states, nil
}

// changeStored makes a change of what is stored: of all that it asks for, or an error that names what cannot be.
func changeStored(stored map[string]string, inFile configs.Settings, change admin.SettingsChange) error {
	if change.ResetAll {
		clear(stored)
	}
	for _, spelling := range change.Reset {
		name, err := inFile.Name(spelling)
		if err != nil {
			return err
		}
		delete(stored, name)
	}
	for _, spelling := range slices.Sorted(maps.Keys(change.Set)) {
		name, err := inFile.Name(spelling)
		if err != nil {
			return err
		}
		set, err := inFile.With(name, change.Set[spelling])
		if err != nil {
			return err
		}
		if stored[name], err = set.Text(name); err != nil {
			return err
		}
	}
	return nil
}

// withSettings returns what is in force with other settings. Timeouts apply to all connections, other settings to those
// accepted from now on. If the way to the mailbox servers reads a changed setting, withSettings builds another way.
func (s *service) withSettings(ctx context.Context, current *inForce, changed *configs.Config) (*inForce, error) {
	next := *current
	next.config = changed
	var err error
	if tierSettingsOf(changed.Settings) != tierSettingsOf(current.config.Settings) {
		next.front, err = newFront(ctx, next.config, s.mailbox)
	}
	return &next, err
}

// errSameSettings says that what is stored is in force.
var errSameSettings = errors.New("the stored settings are in force")

// settingsRetry is how long after a failure stored settings are tried again.
const settingsRetry = 10 * time.Second

// followSettings puts settings in force that another writer stores, until ctx ends.
func (s *service) followSettings(ctx context.Context) {
	changes, err := s.store.settings.Watch(ctx)
	if err != nil {
		s.log.report("stored settings cannot be followed", err)
		return
	}
	var retry <-chan time.Time // nil unless the last try failed
	for {
		select {
		case _, ok := <-changes: // something has changed, maybe by this process
			if !ok {
				return
			}
		case <-retry:
		}
		retry = nil
		err := s.useStoredSettings(ctx)
		if err != nil && !errors.Is(err, errSameSettings) && ctx.Err() == nil {
			s.log.report("stored settings not in force", err)
			retry = time.After(settingsRetry)
		}
	}
}

// useStoredSettings puts the settings in force as the store has them.
func (s *service) useStoredSettings(ctx context.Context) error {
	var item store.Item[map[string]string]
	err := s.apply(ctx, func(current *inForce) (next *inForce, err error) {
		if item, err = readStored(ctx, s.store.stored); err != nil {
			return nil, err
		}
		changed, failures := overlay(current.fromFile, item.Value)
		for _, err := range failures {
			s.log.report("stored setting not usable: the file's value applies", err)
		}
		if sameSettings(current.config.Settings, changed.Settings) {
			return nil, errSameSettings
		}
		return s.withSettings(ctx, current, changed)
	}, nil)
	if err != nil {
		return err
	}
	s.settingsChanged(item.Value, "settings changed by another writer of the store")
	return nil
}

// settingsChanged logs what is stored now, and what is to be said of the settings in force.
func (s *service) settingsChanged(stored map[string]string, message string) {
	s.log.Warn().Interface("stored", stored).Msg(message)
	for _, warning := range s.current().config.SettingsWarnings() {
		s.log.Warn().Msg(warning.Error())
	}
}

// sameSettings says whether all settings have the same values.
func sameSettings(a, b configs.Settings) bool {
	return !slices.ContainsFunc(a.Names(), func(name string) bool {
		before, _ := a.Text(name) // the name is one of its own
		after, _ := b.Text(name)
		return before != after
	})
}
