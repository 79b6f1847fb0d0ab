package importer

import (
	"strings"
	"testing"
)

// A map whose lines cannot be taken over gives several databases and no directory. The result loads all the same.
func TestPerditionBadRules(t *testing.T) {
	files := map[string]string{"source": "protocol IMAP4\nmap_library libperditiondb_posix_regex.so\n" +
		"map_library_opt map\n", "map": "a[[: 10.0.0.1\nb[[: 10.0.0.2\n"}
	result, err := importFrom(filesSource(files), "perdition", []string{root + "/source"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	loads(t, result)
	if n := strings.Count(string(result.Config), "not taken over: Portico's regular expressions"); n != 2 {
		t.Errorf("%d lines are said to be left, want 2:\n%s", n, result.Config)
	}
}

// Names that differ only in the case of letters are one user in Portico: the map file would not load.
func TestPerditionNamesAlike(t *testing.T) {
	files := map[string]string{"source": "protocol IMAP4\nmap_library_opt popmap.gdbm.db\n",
		"popmap": "alice:10.0.0.1\nAlice:10.0.0.2\nb c:10.0.0.1\n"}
	s := filesSource(files)
	s.glob = func(name string) ([]string, error) { return []string{name}, nil }
	result, err := importFrom(s, "perdition", []string{root + "/source"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	loads(t, result)
	want := "alice database=db1\n# popmap:2: Alice 10.0.0.2: decide: not taken over: an earlier line has the same " +
		"name. Small and capital letters are alike in Portico (popmap:1)\n" +
		"# popmap:3: b c 10.0.0.1: decide: not taken over: a map file has no such names\n"
	if result.Files[0].Content != want {
		t.Errorf("users.map is\n%s", result.Files[0].Content)
	}
	if n := decisions(string(result.Config)); n != result.Decide {
		t.Errorf("%d decisions, want %d:\n%s", n, result.Decide, result.Config)
	}
}
