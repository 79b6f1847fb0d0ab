package configs

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"

	"portico/configs/suggest"
)

// Settings can be read and changed by name at run time. Names are taken in the
// file's spelling (max_connections_per_user) and in Exchange's
// (MaxConnectionsPerUser), and so are the values of a closed set (SecureLogin).

// Names lists the settings in the file's spelling and order.
func (Settings) Names() []string { return keysOf(reflect.TypeFor[Settings]()) }

// Name returns the file's spelling of a setting.
func (s Settings) Name(spelling string) (string, error) {
	for _, name := range s.Names() {
		if bare(name) == bare(spelling) || bare(name) == misspelt[bare(spelling)] {
			return name, nil
		}
	}
	if near := suggest.Nearest(bare(spelling), s.Names()); near != "" {
		return "", fmt.Errorf("settings: there is no setting %q; did you mean %s?", spelling, near)
	}
	return "", fmt.Errorf("settings: there is no setting %q; portico settings get lists them", spelling)
}

// misspelt maps names that people use for a setting to what it is called:
// docs/exchange.md.
var misspelt = map[string]string{"protocolloggingenabled": "protocollogenabled"}

// Text returns the value of a setting as it would stand in the file.
func (s Settings) Text(name string) (string, error) {
	name, err := s.Name(name)
	if err != nil {
		return "", err
	}
	return scalarText(settingOf(reflect.ValueOf(&s).Elem(), name).value), nil
}

// With returns a copy in which one setting has the value text, if that keeps
// the rules the file must keep. The receiver stays as it is.
func (s Settings) With(name, text string) (Settings, error) {
	name, err := s.Name(name)
	if err != nil {
		return s, err
	}
	changed := s
	f := settingOf(reflect.ValueOf(&changed).Elem(), name)
	switch c := f.value.Interface().(type) {
	case choice:
		text = spelled(text, c.choices())
	case bool: // Exchange writes $true
		text = strings.ToLower(strings.TrimPrefix(text, "$"))
	}
	if err := setScalar(f.value, text); err != nil {
		return s, fmt.Errorf("settings.%s: %w", name, err)
	}
	if err := checkRange(f); err != nil {
		return s, fmt.Errorf("settings.%s: %w", name, err)
	}
	if f.tag.Get("file") != "" && text != "" && !filepath.IsAbs(text) { // relative to what?
		return s, fmt.Errorf("settings.%s: must be an absolute path, starting with /, not %q", name, text)
	}
	v := &validator{c: &Config{Settings: changed}}
	if v.banner(); name == "banner" && v.problems != nil {
		return s, v.problems
	}
	return changed, nil
}

// SettingsWarnings returns what is doubtful about the settings alone.
func (c *Config) SettingsWarnings() Problems {
	v := &validator{c: c}
	v.login()
	v.enforcing()
	return v.problems
}

func settingOf(settings reflect.Value, name string) (found field) {
	walk("", settings, func(f field) {
		if f.path == name {
			found = f
		}
	})
	return found
}

// spelled returns the member of set that text means, or text.
func spelled(text string, set []string) string {
	for _, member := range set {
		if bare(member) == bare(text) {
			return member
		}
	}
	return text
}

func bare(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
