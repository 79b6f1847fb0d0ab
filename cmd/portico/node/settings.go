package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
)

// storedSettings is the key of the settings that were changed at run time: JSON of names and values. They stand in one
// entry, so that a change of several is made or not.
const storedSettings = "settings"

// readStored returns the settings that were changed at run time.
func readStored(ctx context.Context, s store.Store) (stored map[string]string, revision uint64, err error) {
	stored = make(map[string]string)
	entry, err := s.Get(ctx, storedSettings)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return stored, 0, nil
	case err == nil:
		err = json.Unmarshal(entry.Value, &stored)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read the changed settings: %w", err)
	}
	return stored, entry.Revision, nil
}

// overlay returns a file's configuration with what is stored over it. What can not be taken, as when a later version
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
	stored, _, err := readStored(context.Background(), s.store)
	if err != nil {
		return nil, err
	}
	changed, failures := overlay(config, stored)
	for _, err := range failures {
		s.log.Warn().Err(err).Msg("stored setting not usable: the file's value applies")
	}
	for _, state := range settingStates(config.Settings, changed.Settings, stored) {
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

// settingStates lists all settings as they are in force, with the folder of the protocol log where none is named. The
// caller holds changing.
func (c control) settingStates(stored map[string]string) []admin.SettingState {
	states := settingStates(c.s.inFile, c.s.config.Settings, stored)
	for i := range states {
		if states[i].Name == "log_file_location" {
			states[i].Value = protocolSettings(c.s.config).Files.Location
		}
	}
	return states
}

// Settings implements admin.Control.
func (c control) Settings(ctx context.Context) ([]admin.SettingState, error) {
	c.s.changing.Lock()
	defer c.s.changing.Unlock()
	stored, _, err := readStored(ctx, c.s.store)
	if err != nil {
		return nil, err
	}
	return c.settingStates(stored), nil
}

// ChangeSettings implements admin.Control.
func (c control) ChangeSettings(ctx context.Context, change admin.SettingsChange) ([]admin.SettingState, error) {
	done, err := c.s.change(ctx)
	if err != nil {
		return nil, err
	}
	defer done()
	stored, revision, err := readStored(ctx, c.s.store)
	if err != nil {
		return nil, err
	}
	before := c.s.config.Settings
	if err := c.s.apply(stored, change); err != nil {
		return nil, fmt.Errorf("nothing has changed: %w", err)
	}
	if err := c.s.changeSettings(ctx, stored, revision); err != nil {
		return nil, err
	}
	states := c.settingStates(stored)
	for i := range states {
		was, _ := before.Text(states[i].Name) // the name is one of its own
		if now, _ := c.s.config.Settings.Text(states[i].Name); now != was {
			states[i].Was = was
			if was == "" {
				states[i].Was = `""`
			}
		}
	}
	return states, nil
}

// apply makes a change of what is stored: of all that it asks for, or an error that names what can not be.
func (s *service) apply(stored map[string]string, change admin.SettingsChange) error {
	if change.ResetAll {
		clear(stored)
	}
	for _, spelling := range change.Reset {
		name, err := s.inFile.Name(spelling)
		if err != nil {
			return err
		}
		delete(stored, name)
	}
	for _, spelling := range slices.Sorted(maps.Keys(change.Set)) {
		name, err := s.inFile.Name(spelling)
		if err != nil {
			return err
		}
		set, err := s.inFile.With(name, change.Set[spelling])
		if err != nil {
			return err
		}
		if stored[name], err = set.Text(name); err != nil {
			return err
		}
	}
	return nil
}

// changeSettings keeps what is stored and puts it in force, for connections accepted from now on; time-outs for all.
func (s *service) changeSettings(ctx context.Context, stored map[string]string, revision uint64) error {
	file := *s.config
	file.Settings = s.inFile
	config, _ := overlay(&file, stored)
	f := s.front.Load()
	if config.Settings.ProxyTargetPort != s.config.Settings.ProxyTargetPort ||
		config.Settings.EnforceCertificateErrors != s.config.Settings.EnforceCertificateErrors {
		var err error
		if f, err = newFront(ctx, config, s.lasting); err != nil {
			return err
		}
	}
	err := s.enforce(ctx, s.access, f, f.settings(config), func() error {
		text, err := json.Marshal(stored)
		if err == nil {
			_, err = s.store.CompareAndSet(ctx, storedSettings, revision, text)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("change settings: %w", err)
	}
	s.bound(config)
	s.logMovedServers(config)
	s.config = config
	s.log.Warn().Interface("stored", stored).Msg("settings changed by an operator")
	for _, warning := range config.SettingsWarnings() {
		s.log.Warn().Msg(warning.Error())
	}
	return nil
}
