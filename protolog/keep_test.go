package protolog

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"

	"github.com/rs/zerolog"
)

// Files stay that are exactly as old, or together exactly as large, as they may be.
func TestRetentionAtItsBounds(t *testing.T) {
	const oldest, middle, latest = "IMAP42026112400-1.LOG", "IMAP42026112500-1.LOG.gz", "IMAP42026112600-1.LOG"
	all := strings.Join([]string{oldest, middle, latest}, " ")
	for what, test := range map[string]struct {
		set  FileSettings
		want string
	}{
		"no bounds":             {FileSettings{}, all},
		"as old as allowed":     {FileSettings{Age: 3 * 24 * time.Hour}, all},
		"older by a moment":     {FileSettings{Age: 3*24*time.Hour - 1}, middle + " " + latest},
		"as large as allowed":   {FileSettings{TotalSize: 300}, all},
		"larger by a byte":      {FileSettings{TotalSize: 299}, middle + " " + latest},
		"as large without one":  {FileSettings{TotalSize: 200}, middle + " " + latest},
		"room for one":          {FileSettings{TotalSize: 199}, latest},
		"what is old frees too": {FileSettings{Age: 2 * 24 * time.Hour, TotalSize: 200}, middle + " " + latest},
	} {
		dir := t.TempDir()
		for i, name := range strings.Fields(all) {
			path := filepath.Join(dir, name)
			if err := os.WriteFile(path, []byte(strings.Repeat("x", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
			modified := noon.Add(-time.Duration(3-i) * 24 * time.Hour)
			if err := os.Chtimes(path, modified, modified); err != nil {
				t.Fatal(err)
			}
		}
		program := &testkit.Log{}
		w := newWriter(Options{Log: zerolog.New(program)}, new(counts))
		w.set = test.set
		w.set.Location, w.set.RollOver = dir, Daily
		w.prune(noon)
		if got := filesIn(t, dir); got != test.want || program.String() != "" {
			t.Errorf("%s: %s are left, want %s\n%s", what, got, test.want, program)
		}
	}
}
