package protolog

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
)

// zipped compresses a text.
func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// folder makes a folder of files.
func folder(t *testing.T, files map[string]string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// rowOf is a row with a command.
func rowOf(command string) string {
	return "2026-11-27T12:00:00.123Z,0123456789abcdef,7,l,c,ann,0,0,0," + command + ",,,\n"
}

// commandsFound lists the commands of the rows that Find yields.
func commandsFound(ctx context.Context, dir string) (string, error) {
	var all []string
	s, err := Search{}.compile(strings.Clone)
	if err != nil {
		return "", err
	}
	err = find(ctx, dir, s, CSV, func(line []byte) error {
		row, err := ParseRow(bytes.TrimSuffix(line, []byte("\n")))
		all = append(all, row[9])
		return err
	})
	return strings.Join(all, " "), err
}

// Where a file and its compressed form lie side by side, the compressed one counts, and no row is found twice. The
// next file gets the next number.
func TestCompressedBesidePlain(t *testing.T) {
	dir := folder(t, map[string]string{
		"IMAP42026112700-1.LOG":     rowOf("a"),
		"IMAP42026112700-2.LOG":     rowOf("torn"),
		"IMAP42026112700-2.LOG.gz":  zipped(t, rowOf("b")),
		"IMAP42026112700-10.LOG":    rowOf("torn"),
		"IMAP42026112700-10.LOG.gz": zipped(t, rowOf("c")),
	})
	if err := os.Mkdir(filepath.Join(dir, "IMAP42026112700-11.LOG"), 0o700); err != nil {
		t.Fatal(err)
	}
	all, err := listFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, name := range all {
		names = append(names, name.String())
	}
	if got := strings.Join(names,
		" "); got != "IMAP42026112700-1.LOG IMAP42026112700-2.LOG.gz IMAP42026112700-10.LOG.gz" {
		t.Errorf("there are %s", got)
	}
	if got, err := commandsFound(t.Context(), dir); got != "a b c" || err != nil {
		t.Errorf("found %q, %v", got, err)
	}
	name, goOn, err := pick(dir, FileSettings{RollOver: Daily}, CSV, noon)
	if err != nil || goOn || name.String() != "IMAP42026112700-11.LOG" {
		t.Errorf("the next file is %s, goes on: %v, %v", name, goOn, err)
	}
}

// A file that cannot be read is an error that names it; what was found before it is not lost.
func TestFindInDamagedFiles(t *testing.T) {
	whole := zipped(t, strings.Repeat(rowOf("b"), 100))
	for name, text := range map[string]string{
		"no gzip": "nothing of that kind", "cut off": whole[:len(whole)-10],
		"other sum": whole[:len(whole)-8] + "12345678",
	} {
		dir := folder(t, map[string]string{"IMAP42026112700-1.LOG": rowOf("a"), "IMAP42026112700-2.LOG.gz": text})
		got, err := commandsFound(t.Context(), dir)
		if err == nil || !strings.HasPrefix(err.Error(), "IMAP42026112700-2.LOG.gz: ") ||
			!strings.HasPrefix(got, "a") {
			t.Errorf("%s: found %q, %v", name, got, err)
		}
	}
	long := folder(t, map[string]string{"IMAP42026112700-1.LOG": strings.Repeat("x", MaxRow+1) + "\n"})
	if _, err := commandsFound(t.Context(), long); err == nil {
		t.Error("a line without end is read")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if got, err := commandsFound(ctx, folder(t, map[string]string{"IMAP42026112700-1.LOG": rowOf("a")})); got != "" ||
		!errors.Is(err, context.Canceled) {
		t.Errorf("for nobody: found %q, %v", got, err)
	}
	dir := folder(t, map[string]string{"file": "", "IMAP42026112700-1.LOG": "#Fields\nno row\n" + rowOf("a")})
	if got, err := commandsFound(t.Context(), dir); got != "a" || err != nil {
		t.Errorf("beside what is no row: %q, %v", got, err)
	}
	if got, err := commandsFound(t.Context(), filepath.Join(dir, "none")); got != "" || err != nil {
		t.Errorf("in no folder: %q, %v", got, err)
	}
	file := filepath.Join(dir, "file")
	if _, err := commandsFound(t.Context(), file); err == nil {
		t.Error("a file is read as a folder")
	}
	if _, _, err := pick(file, FileSettings{}, CSV, noon); err == nil {
		t.Error("a file is made in a file")
	}
	if err := repair(file); err == nil {
		t.Error("a file is repaired as a folder")
	}
}

// brokenDisk reads nothing.
type brokenDisk struct{}

func (brokenDisk) ReadAt([]byte, int64) (int, error) { return 0, iotest.ErrTimeout }

// A disk that cannot be read is an error, not a file without a line: that would be emptied.
func TestWholeLines(t *testing.T) {
	if whole, err := wholeLines(brokenDisk{}, 10_000); !errors.Is(err, iotest.ErrTimeout) {
		t.Errorf("%d, %v", whole, err)
	}
	for text, want := range map[string]int64{"": 0, "a": 0, "\n": 1, "a\nb": 2,
		strings.Repeat("a", 4095) + "\n" + strings.Repeat("b", 5000): 4096} {
		if whole, err := wholeLines(strings.NewReader(text), int64(len(text))); whole != want || err != nil {
			t.Errorf("%.10q: %d, %v; want %d", text, whole, err, want)
		}
	}
}
