package importer

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Whatever a source has in it, an import ends, and Portico loads what it makes. Every file that the source names has
// the same text, so that includes go round in circles.

func FuzzNginx(f *testing.F)     { fuzz(f, "nginx") }
func FuzzPerdition(f *testing.F) { fuzz(f, "perdition") }
func FuzzDovecot(f *testing.F)   { fuzz(f, "dovecot-proxy") }
func FuzzDirector(f *testing.F)  { fuzz(f, "dovecot-director") }
func FuzzHAProxy(f *testing.F)   { fuzz(f, "haproxy") }

func fuzz(f *testing.F, kind string) {
	for _, c := range imports {
		if c.kind != kind {
			continue
		}
		folder := filepath.Join("testdata", c.folder)
		err := filepath.WalkDir(folder, func(name string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() || strings.Contains(name, "expected") {
				return err
			}
			text, err := os.ReadFile(name)
			f.Add(text)
			return err
		})
		if err != nil {
			f.Fatal(err)
		}
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		s := &source{base: root, read: func(string) ([]byte, error) { return text, nil },
			glob: func(pattern string) ([]string, error) { return []string{pattern}, nil }}
		result, err := importFrom(s, kind, []string{root + "/source"}, Options{})
		if err != nil {
			return
		}
		loads(t, result)
	})
}
