package admin

import (
	"context"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
)

// PathSettings is that of the settings: GET lists them, POST changes some.
const PathSettings = prefix + "settings"

// Settings are what can be set at run time.
type Settings interface {
	Settings(ctx context.Context) ([]SettingState, error)
	// ChangeSettings makes all of a change, or nothing, and returns the settings as they are then. If check returns an
	// error for the settings before the change, nil if they cannot be read, nothing changes. Nobody else changes a
	// setting between check and the change. Check may be called again if somebody was first.
	ChangeSettings(ctx context.Context, change SettingsChange, check func(before []SettingState) error) ([]SettingState,
		error)
}

// SettingState is a setting as the API shows it: Get-ImapSettings.
type SettingState struct {
	Name   string `json:"name"`
	Value  string `json:"value"`          // in force
	Was    string `json:"was,omitempty"`  // before a change, if that was something else
	Source string `json:"source"`         // where it comes from: default, file, or a change at run time: stored, or site where nodes share it
	File   string `json:"file,omitempty"` // what the file says, if that is something else
}

// SettingsChange is what to change, in this order: forget what is stored, and store. Names are taken in Exchange's
// spelling too.
type SettingsChange struct {
	ResetAll bool              `json:"reset_all,omitempty"`
	Reset    []string          `json:"reset,omitempty"`
	Set      map[string]string `json:"set,omitempty"`
}

// taggedSettings are settings with their ETag.
type taggedSettings struct {
	ETag string `header:"ETag" doc:"names this state of the settings, for If-Match"`
	Body []SettingState
}

func tagged(states []SettingState, err error) (*taggedSettings, error) {
	if err != nil {
		return nil, problemOf(err)
	}
	return &taggedSettings{settingsTag(states), states}, nil
}

// settingsTag is the ETag of settings: whatever changes a value or where it comes from changes the tag.
func settingsTag(states []SettingState) string {
	states = slices.Clone(states)
	for i := range states {
		states[i].Was = "" // it belongs to one change
	}
	return etagOf(states)
}

// conditionalChange is a change that may name the state that it was decided on.
type conditionalChange struct {
	IfMatch string `header:"If-Match" doc:"an ETag: nothing changes if the settings have another one by now"`
	Body    *SettingsChange
}

// settingRoutes adds settings to the API.
func settingRoutes(api huma.API, s Settings) {
	huma.Register(api, operation(http.MethodGet, "list-settings", PathSettings,
		"List what can be set at run time, and where each value comes from"),
		func(ctx context.Context, _ *None) (*taggedSettings, error) { return tagged(s.Settings(ctx)) })
	op := uncancelled(operation(http.MethodPost, "change-settings", PathSettings,
		"Make all of a change to settings, or nothing"))
	op.Responses["412"] = problemResponse("The settings have changed since If-Match.")
	huma.Register(api, op, func(ctx context.Context, in *conditionalChange) (*taggedSettings, error) {
		var before []SettingState
		after, err := s.ChangeSettings(ctx, valueOf(in.Body), func(states []SettingState) error {
			before = states
			return ifMatch(in.IfMatch, settingsTag(states))
		})
		switch {
		case err == nil && before == nil: // they could not be read
			Changed(ctx)
		case err == nil:
			Changed(ctx, settingsChanged(before, after)...)
		}
		return tagged(after, err)
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
