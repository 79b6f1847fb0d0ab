// Package datadir knows the store in data_dir as people meet it: which configuration it is of, what is in it, and how
// to go on with one that is damaged. A running Portico and the command line, which reads the files where none runs,
// both need that. The package does not know what entries mean, but which of them are secret.
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

// LogHashKey is the key of the entry that has the secret with which the protocol log hashes what it must not show.
const LogHashKey = "protocol_log/key"

// Open opens the store of a configuration that was read from a file.
func Open(config *configs.Config, file string) (*store.File, error) {
	s, err := store.Open(config.DataDir, time.Now())
	return s, Error(err, config, file)
}

// Error says which store an error is about, and of a damaged one how to go on.
func Error(err error, config *configs.Config, file string) error {
	var damage *store.Damage
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &damage):
		return fmt.Errorf("data_dir %s: %w", config.DataDir, err)
	}
	return fmt.Errorf("data_dir %s: %w\nNothing was changed. To go on:\n%s", config.DataDir, err,
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
	way("shows what is whole, and the copies", "check", "-c", file)
	copies, err := store.Copies(dir)
	if err == nil && len(copies) > 0 {
		remove = append(remove, filepath.Join(dir, store.BackupsName))
	}
	if slices.ContainsFunc(copies, func(c store.Copy) bool { return c.Err == nil }) {
		way("puts a copy back", "restore", "-c", file, "COPY")
	}
	switch content, err := store.ReadCopy(path); {
	case err == nil:
		way("keeps the file that is there", "restore", "-c", file, path)
	case len(content.Entries) > 0:
		way("keeps the whole entries of the file that is there", "restore", "-c", file, "--partial", path)
	}
	remove = slices.DeleteFunc(remove,
		func(path string) bool { _, err := os.Stat(path); return errors.Is(err, fs.ErrNotExist) })
	return fmt.Sprintf("%sTo begin with an empty store instead, move away: %s", &ways, strings.Join(remove, ", "))
}

// State is the state of the store in a folder.
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

func CopyRow(c store.Copy) admin.StoreCopy {
	shown := admin.StoreCopy{File: c.Path, Taken: c.Taken, Reason: string(c.Reason), Revision: c.Revision,
		Entries: c.Entries}
	if c.Err != nil {
		shown.Damage = c.Err.Error()
	}
	return shown
}

// Entries shows entries to people. The key of the protocol log's hash is a secret.
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

func ShownValue(key string, value []byte) string {
	switch {
	case value == nil:
		return "-"
	case key == LogHashKey:
		return "*****"
	case json.Valid(value) || utf8.Valid(value):
		return string(value)
	}
	return fmt.Sprintf("%x", value)
}
