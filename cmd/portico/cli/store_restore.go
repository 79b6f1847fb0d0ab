package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"portico/backend"
	"portico/cmd/portico/datadir"
	"portico/configs"
	"portico/configs/store"
	"portico/health/admin/table"
)

func newStoreRestore() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore COPY|latest",
		Short: "Replace the store with a copy",
		Long: `Restore replaces the store with a copy: a file, the name of a copy in the folder
backups, or the latest intact copy there. It keeps the previous store as a copy.
Portico must not run with this data_dir. Restore prints what it changes. A copy
may be older than the last move of a database, so compare active copies with
your storage before you start Portico.

With --partial, restore takes the intact entries of a damaged file and leaves
out the others. Without --other-store, it refuses a copy made by another
Portico.

Restore lists as LOST each entry that decides where users go and that is missing
from the copy: active copies, blocks, policies, moved users. It shows the value
in the latest other copy, and what Portico does without the entry. A database
whose active copy is lost stays closed (FailedAndSuspended) until you choose the
active copy with portico database move.

Exit status: 0 restored, 1 restored but entries are lost (0 with --accept-loss),
2 the command failed.`,
		Args: cobra.ExactArgs(1),
	}
	source := storeSource{&apiCommand{output: outputFlags(cmd)}, configFlag(cmd), cmd}
	f := &restore{storeSource: source}
	cmd.Flags().BoolVar(&f.partial, "partial", false, "take the intact entries of a damaged file")
	cmd.Flags().BoolVar(&f.acceptLoss, "accept-loss", false,
		"exit with status 0 even if entries are lost that decide where users go")
	cmd.Flags().BoolVar(&f.otherStore, "other-store", false, "take a copy made by another Portico")
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return f.do(args[0]) }
	return cmd
}

// restore holds the flags of store restore.
type restore struct {
	storeSource
	partial, acceptLoss, otherStore bool
}

// do restores a copy and prints what has changed.
func (f *restore) do(name string) error {
	config, err := f.config()
	if err != nil {
		return err
	}
	from, err := findCopy(config.DataDir, name)
	if err != nil {
		return err
	}
	if !f.otherStore && store.Foreign(config.DataDir, from) {
		return fmt.Errorf("%s is a copy of another store than the one in %s: it has another Portico's active "+
			"copies, blocks and keys; --other-store takes it anyway", visibleText(from), config.DataDir)
	}
	done, lost, err := f.replace(config, from)
	if errors.Is(err, store.ErrLocked) {
		return fmt.Errorf("%w: stop it first, because it would continue with what it has in memory", err)
	}
	if err != nil {
		return err
	}
	if err := f.printRestored(f.cmd, from, done, lost); err != nil || len(lost) == 0 || f.acceptLoss {
		return err
	}
	return errBadNews
}

// replace puts a copy in place of the store. It returns the entries that the copy lacks and other copies have.
func (f *restore) replace(config *configs.Config, from string) (done store.Restored, lost []backend.LostEntry,
	err error) {
	copies := make(map[string][]string)
	for name, d := range config.Databases {
		copies[name] = d.Copies
	}
	remembered, err := rememberedIn(config.DataDir)
	if err != nil {
		return done, nil, err
	}
	done, err = store.Restore(config.DataDir, from, f.partial, time.Now(),
		func(left *store.Damage, taken, before map[string]store.Entry) map[string]string {
			all := append([]backend.Remembered{{Name: "the store before", Entries: before}}, remembered...)
			lost = backend.LostEntries(taken, left != nil, flawed(left), all, copies)
			return backend.SuspendLost(lost, copies)
		})
	return done, lost, err
}

// rememberedIn reads the copies that may have entries which a restore would lose, the newest first.
func rememberedIn(dir string) ([]backend.Remembered, error) {
	copies, err := store.Copies(dir)
	var all []backend.Remembered
	for _, c := range copies {
		content, err := store.ReadCopy(c.Path)
		if damage := (*store.Damage)(nil); err != nil && !errors.As(err, &damage) {
			continue // it is only for comparison
		}
		r := backend.Remembered{Name: c.Name, Entries: make(map[string]store.Entry)}
		for _, e := range content.Entries {
			r.Entries[e.Key] = e
		}
		all = append(all, r)
	}
	return all, err
}

// flawed lists the keys of damaged entries, "" for each that cannot be read.
func flawed(d *store.Damage) (keys []string) {
	if d == nil {
		return nil
	}
	for _, f := range d.Flaws {
		keys = append(keys, f.Entry)
	}
	return keys
}

// findCopy returns the path of a copy from its name.
func findCopy(dir, name string) (string, error) {
	if name != "latest" {
		if beside := filepath.Join(dir, store.BackupsName, name); filepath.Base(name) == name {
			if _, err := os.Stat(beside); err == nil {
				return beside, nil
			}
		}
		return name, nil
	}
	copies, err := store.Copies(dir)
	if err != nil {
		return "", err
	}
	for _, c := range copies {
		if c.Err == nil && c.Reason != store.BeforeRestore {
			return c.Path, nil
		}
	}
	return "", fmt.Errorf("no copy in %s is intact", filepath.Join(dir, store.BackupsName))
}

// restoreResult is what a restore prints as JSON.
type restoreResult struct {
	From    string          `json:"from"`
	Kept    string          `json:"kept,omitempty"`
	Entries int             `json:"entries"`
	Left    string          `json:"left_out,omitempty"`
	Changes []restoreChange `json:"changes"`
	Lost    []lostEntry     `json:"lost"`
}

type restoreChange struct {
	Key    string `json:"key"`
	Before string `json:"before"`
	After  string `json:"after"`
}

// printRestored prints what a restore has changed.
func (a storeSource) printRestored(cmd *cobra.Command, from string, done store.Restored,
	lost []backend.LostEntry) error {
	result := restoreResult{from, done.Kept, done.Entries, "", []restoreChange{}, lostEntries(lost)}
	rows := table.New("Key", "Was", "Now")
	for _, d := range done.Changes {
		c := restoreChange{d.Key, datadir.ShownValue(d.Key, d.Before), datadir.ShownValue(d.Key, d.After)}
		result.Changes = append(result.Changes, c)
		rows.Add(c.Key, c.Before, c.After)
	}
	if done.Left != nil {
		result.Left = done.Left.Error()
	}
	if a.forPeople() {
		result.explain(cmd.OutOrStdout())
		if rows.Len() == 0 {
			return nil
		}
	}
	return a.print(cmd, result, rows)
}

// explain says in sentences what a restore has done.
func (r restoreResult) explain(out io.Writer) {
	fmt.Fprintf(out, "restored %d entries from %s\n", r.Entries, r.From)
	if r.Kept != "" {
		fmt.Fprintf(out, "the previous store was kept as %s\n", r.Kept)
	}
	if r.Left != "" {
		fmt.Fprintf(out, "left out: %s\n", visibleText(r.Left))
	}
	for _, l := range r.Lost {
		fmt.Fprintf(out, "LOST %s: %s\n", l.Key, visibleText(l.Effect+l.had()))
	}
	if len(r.Changes) == 0 && len(r.Lost) == 0 {
		fmt.Fprintln(out, "no entry has changed")
	}
}

// lostEntry is an entry that a restore has lost, as the command prints it.
type lostEntry struct {
	Key    string `json:"key"`
	Value  string `json:"value,omitempty"` // in another copy
	From   string `json:"from,omitempty"`  // that copy
	Effect string `json:"effect"`          // what Portico does without it
}

// had says which other copy has the entry, and its value.
func (l lostEntry) had() string {
	if l.From == "" {
		return "; no copy has its value"
	}
	return fmt.Sprintf("; %s has %s", l.From, l.Value)
}

func lostEntries(lost []backend.LostEntry) []lostEntry {
	shown := []lostEntry{}
	for _, l := range lost {
		entry := lostEntry(l)
		if l.From != "" {
			entry.Value = datadir.ShownValue(l.Key, []byte(l.Value))
		}
		shown = append(shown, entry)
	}
	return shown
}
