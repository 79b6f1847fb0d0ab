// Package datadir presents the store in data_dir to people: it opens the store of a configuration, describes its
// content, and says what to do about damage. A running Portico and the command line both use it; the command line
// reads the files when no Portico runs. The package knows which entries are secret, but not what entries mean.
package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"portico/configs"
	"portico/configs/store"
	"portico/health/admin"
)

// LogHashKey is the store key of the secret that the protocol log hashes user names with. It is not followed: it is
// made once and never changes.
const LogHashKey = "protocol_log/key"

// Secrets are the beginnings of the keys of secrets: nobody is shown their values, and they are sealed before etcd gets
// them.
var Secrets = []string{LogHashKey, "penalties.seed", "tickets"}

// Open opens the store of a configuration. file is the path of the configuration file, for the commands that an error
// suggests. The caller closes the store.
func Open(config *configs.Config, file string) (*store.File, error) {
	s, err := store.Open(config.DataDir, time.Now())
	return s, Error(err, config, file)
}

// OpenLocked is Open with a lock that another process has lent; see store.OpenLocked.
func OpenLocked(config *configs.Config, file string, lock *os.File) (*store.File, error) {
	s, err := store.OpenLocked(config.DataDir, lock, time.Now())
	return s, Error(err, config, file)
}

// Error adds the path of data_dir to an error of its store. For a *store.Damage it also lists the commands that help.
func Error(err error, config *configs.Config, file string) error {
	var damage *store.Damage
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &damage):
		return fmt.Errorf("data_dir %s: %w", config.DataDir, err)
	}
	return fmt.Errorf("data_dir %s: %w\nNothing was changed. To continue:\n%s", config.DataDir, err,
		waysOn(config.DataDir, file))
}

// waysOn lists the commands that help with a store that was refused. It offers only what can work.
func waysOn(dir, file string) string {
	path := filepath.Join(dir, store.FileName)
	remove := []string{path, filepath.Join(dir, store.IdentityName)}
	var ways strings.Builder
	way := func(does string, args ...string) {
		fmt.Fprintf(&ways, "  portico store %-*s %s\n", len(file)+len(path)+24, strings.Join(args, " "), does)
	}
	way("shows what is intact, and the copies", "check", "-c", file)
	copies, err := store.Copies(dir)
	if err == nil && len(copies) > 0 {
		remove = append(remove, filepath.Join(dir, store.BackupsName))
	}
	if slices.ContainsFunc(copies, func(c store.Copy) bool { return c.Err == nil }) {
		way("puts a copy back", "restore", "-c", file, "COPY")
	}
	switch content, err := store.ReadCopy(path); {
	case err == nil:
		way("keeps the present file", "restore", "-c", file, path)
	case len(content.Entries) > 0:
		way("keeps the intact entries of the present file", "restore", "-c", file, "--partial", path)
	}
	remove = slices.DeleteFunc(remove,
		func(path string) bool { _, err := os.Stat(path); return errors.Is(err, fs.ErrNotExist) })
	return fmt.Sprintf("%sTo start with an empty store instead, move away: %s", &ways, strings.Join(remove, ", "))
}

// State returns the state of the store in a folder and of its copies. damage is what opening the store has returned;
// nil makes State read the file itself. The error is that of the copies' folder.
func State(dir string, damage error) (admin.StoreState, error) {
	path := filepath.Join(dir, store.FileName)
	content, err := store.ReadCopy(path)
	state := admin.StoreState{File: path, Revision: content.Revision, Entries: len(content.Entries),
		Copies: []admin.StoreCopy{}}
	if damage == nil {
		damage = err
	}
	if damage != nil {
		state.Damage = damage.Error()
	}
	copies, err := store.Copies(dir)
	for _, c := range copies {
		state.Copies = append(state.Copies, CopyRow(c))
	}
	return state, err
}

// CopyRow returns a copy as the API shows it.
func CopyRow(c store.Copy) admin.StoreCopy {
	shown := admin.StoreCopy{File: c.Path, Taken: c.Taken, Reason: string(c.Reason), Revision: c.Revision,
		Entries: c.Entries}
	if c.Err != nil {
		shown.Damage = c.Err.Error()
	}
	return shown
}

// Entries returns the entries whose key begins with prefix, as the API shows them: without secrets.
func Entries(entries []store.Entry, prefix string) []admin.StoreEntry {
	shown := []admin.StoreEntry{}
	for _, e := range entries {
		if strings.HasPrefix(e.Key, prefix) {
			shown = append(shown, admin.StoreEntry{Key: e.Key, Revision: e.Revision,
				Value: ShownValue(e.Key, e.Value)})
		}
	}
	return shown
}

// ShownValue returns the value of an entry as text: "-" for nil, asterisks for a secret, hexadecimal for binary data.
func ShownValue(key string, value []byte) string {
	switch {
	case value == nil:
		return "-"
	case store.Under(key, Secrets):
		return "*****"
	case json.Valid(value) || utf8.Valid(value):
		return string(value)
	}
	return fmt.Sprintf("%x", value)
}
