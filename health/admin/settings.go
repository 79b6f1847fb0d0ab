package admin

import (
	"context"

	"github.com/danielgtaylor/huma/v2"
)

// PathSettings is that of the settings: GET lists them, POST changes some.
const PathSettings = prefix + "settings"

// Settings are what can be set at run time.
type Settings interface {
	Settings(ctx context.Context) ([]SettingState, error)
	// ChangeSettings makes all of a change, or nothing, and returns the settings as they are then.
	ChangeSettings(ctx context.Context, change SettingsChange) ([]SettingState, error)
}

// SettingState is a setting as the API shows it: Get-ImapSettings.
type SettingState struct {
	Name   string `json:"name"`
	Value  string `json:"value"`          // in force
	Was    string `json:"was,omitempty"`  // before a change, if that was something else
	Source string `json:"source"`         // where it comes from: default, file, or stored by a change at run time
	File   string `json:"file,omitempty"` // what the file says, if that is something else
}

// SettingsChange is what to change, in this order: forget what is stored, and store. Names are taken in Exchange's
// spelling too.
type SettingsChange struct {
	ResetAll bool              `json:"reset_all,omitempty"`
	Reset    []string          `json:"reset,omitempty"`
	Set      map[string]string `json:"set,omitempty"`
}

// settingRoutes adds settings to the API.
func settingRoutes(api huma.API, s Settings) {
	get(api, "list-settings", PathSettings, "List what can be set at run time, and where each value comes from",
		func(ctx context.Context, _ *None) ([]SettingState, error) { return s.Settings(ctx) })
	change(api, "change-settings", PathSettings, "Make all of a change to settings, or nothing",
		func(ctx context.Context, _ string, body SettingsChange) ([]SettingState, error) {
			before, err := s.Settings(ctx)
			if err != nil && !body.ResetAll { // that is the way out if they cannot be read
				return nil, err
			}
			unreadable := err != nil
			after, err := s.ChangeSettings(ctx, body)
			switch {
			case err == nil && unreadable:
				Changed(ctx)
			case err == nil:
				Changed(ctx, settingsChanged(before, after)...)
			}
			return after, err
		})
}

// settingsChanged lists the settings that have another value or come from another place.
func settingsChanged(before, after []SettingState) (all []Difference) {
	was := make(map[string]SettingState)
	for _, s := range before {
		was[s.Name] = s
	}
	for _, s := range after {
		if b := was[s.Name]; b.Value != s.Value {
			all = append(all, Difference{s.Name, b.Value, s.Value})
		} else if b.Source != s.Source {
			all = append(all, Difference{"source of " + s.Name, b.Source, s.Source})
		}
	}
	return all
}
