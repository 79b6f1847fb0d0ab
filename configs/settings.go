package configs

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"portico/configs/suggest"
)

// Settings are the settings of Exchange's Get-/Set-ImapSettings that a proxy can use. Each can change at run time; see
// [Settings.With]. Names are accepted in the file's spelling (max_connections_per_user) and in Exchange's
// (MaxConnectionsPerUser), and so are the values of a closed set (SecureLogin).
type Settings struct {
	LoginType                     LoginType `yaml:"login_type"`
	Banner                        string    `yaml:"banner"`
	MaxConnections                int       `yaml:"max_connections" range:"1..2147483647"`
	MaxConnectionFromSingleIP     int       `yaml:"max_connection_from_single_ip" range:"1..2147483647"`
	MaxConnectionsPerUser         int       `yaml:"max_connections_per_user" range:"1..2147483647"`
	MaxUnauthenticatedConnections int       `yaml:"max_unauthenticated_connections" range:"1..2147483647"`
	// MaxUnauthenticatedConnectionsFromSingleIP does not apply to trusted networks.
	MaxUnauthenticatedConnectionsFromSingleIP int `yaml:"max_unauthenticated_connections_from_single_ip" range:"1..2147483647"`

	MaxCommandSize       int `yaml:"max_command_size" range:"1024..16384"`       // bytes
	MaxCommandsPerSecond int `yaml:"max_commands_per_second" range:"0..1000000"` // of one user; 0 is no limit
	MaxCommandsBurst     int `yaml:"max_commands_burst" range:"1..1000000"`      // of one user at once
	// port of mailbox servers whose address has none
	ProxyTargetPort int `yaml:"proxy_target_port" range:"1..65535"`
	// EnforceCertificateErrors refuses a mailbox server whose certificate cannot be verified. Without it, Portico
	// reports such errors and uses the server.
	EnforceCertificateErrors          bool          `yaml:"enforce_certificate_errors"`
	PreAuthenticatedConnectionTimeout time.Duration `yaml:"pre_authenticated_connection_timeout" range:"30s..1h"`
	AuthenticatedConnectionTimeout    time.Duration `yaml:"authenticated_connection_timeout" range:"30s..24h"`

	ProtocolLogEnabled bool `yaml:"protocol_log_enabled"` // of all sessions
	// folder; "" is protocol-log in data_dir
	LogFileLocation string `yaml:"log_file_location" file:"relative"`
	// when a new file begins
	LogFileRollOverSettings RollOver `yaml:"log_file_roll_over_settings"`
	// 0 uses the setting above only; unlimited means one file
	LogPerFileSizeQuota Size `yaml:"log_per_file_size_quota"`
	// older files are deleted; 0 deletes none
	ProtocolLogAgeQuota time.Duration `yaml:"protocol_log_age_quota" range:"0s..87600h"`
	// of all files; beyond it, the oldest are deleted
	ProtocolLogSizeQuota Size `yaml:"protocol_log_size_quota"`
	// completed files
	ProtocolLogCompress  bool              `yaml:"protocol_log_compress"`
	ProtocolLogFormat    ProtocolLogFormat `yaml:"protocol_log_format"`
	ProtocolLogHashUsers bool              `yaml:"protocol_log_hash_users"` // rows have a hash instead of the user's name
	// rows have the client's network instead of its address
	ProtocolLogShortenAddresses bool `yaml:"protocol_log_shorten_addresses"`
}

// Names lists the settings in the file's spelling and order.
func (Settings) Names() []string { return keysOf(reflect.TypeFor[Settings]()) }

// Name returns the name of a setting in the file's spelling.
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

// misspelt maps wrong names that are in use to the right ones: docs/exchange.md.
var misspelt = map[string]string{"protocolloggingenabled": "protocollogenabled"}

// Text returns the value of a setting in the form of the file.
func (s Settings) Text(name string) (string, error) {
	name, err := s.Name(name)
	if err != nil {
		return "", err
	}
	return scalarText(settingOf(reflect.ValueOf(&s).Elem(), name).value), nil
}

// With returns a copy in which one setting has the value text. The value must follow the rules of the file. With does
// not change the receiver.
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

// SettingsWarnings returns the warnings about the settings.
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

// spelled returns the member of set that text spells in any form, or text.
func spelled(text string, set []string) string {
	for _, member := range set {
		if bare(member) == bare(text) {
			return member
		}
	}
	return text
}

func bare(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
