package importer

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the expected configurations")

// imports are the configurations in testdata: each is a folder with what an import reads and makes.
var imports = []struct {
	folder, kind string
	files        []string
	servers      []string
}{
	{"nginx-mail", "nginx", []string{"nginx.conf"}, []string{"10.0.0.11:143", "10.0.0.12"}},
	{"nginx-mail-plain", "nginx", []string{"nginx.conf"}, nil},
	{"nginx-stream", "nginx", []string{"nginx.conf"}, nil},
	{"nginx-stream-tls", "nginx", []string{"nginx.conf"}, nil},
	{"perdition-popmap", "perdition", []string{"perdition.conf"}, nil},
	{"perdition-regex", "perdition", []string{"perdition.conf", "popmap.re"}, nil},
	{"perdition-imap4s", "perdition", []string{"perdition.conf"}, nil},
	{"perdition-plain", "perdition", []string{"perdition.conf"}, nil},
	{"perdition-mysql", "perdition", []string{"perdition.conf"}, []string{"mbx1.example.org"}},
	{"perdition-ldap", "perdition", []string{"perdition.conf"}, []string{"mbx1.example.org:993"}},
	{"dovecot23-static", "dovecot-proxy", []string{"dovecot.conf"}, nil},
	{"dovecot23-sql", "dovecot-proxy", []string{"dovecot.conf"}, []string{"mbx1.example.org"}},
	{"dovecot23-ldap", "dovecot-proxy", []string{"dovecot.conf"}, []string{"mbx1.example.org:993"}},
	{"dovecot23-users", "dovecot-proxy", []string{"dovecot.conf"}, nil},
	{"dovecot24-static", "dovecot-proxy", []string{"dovecot.conf"}, nil},
	{"dovecot24-sql", "dovecot-proxy", []string{"dovecot.conf"}, []string{"mbx1.example.org"}},
	{"dovecot24-ldap", "dovecot-proxy", []string{"dovecot.conf"}, []string{"mbx1.example.org:993"}},
	{"director", "dovecot-director", []string{"dovecot.conf"}, nil},
	{"haproxy-tcp", "haproxy", []string{"haproxy.cfg"}, nil},
	{"haproxy-tls", "haproxy", []string{"haproxy.cfg"}, nil},
	{"haproxy-listen", "haproxy", []string{"haproxy.cfg"}, nil},
}

// secretMark is in every secret of the sources.
const secretMark = "hush-hush"

// root is where the sources seem to be, so that what an import makes does not depend on the place of the checkout.
const root = "/etc/source"

// folderSource reads the files of a folder of testdata as if they were in root.
func folderSource(dir string) *source {
	disk := diskSource("")
	at := func(name string) string {
		if rel, below := strings.CutPrefix(name, root); below {
			return filepath.Join(dir, rel)
		}
		return name
	}
	return &source{base: root,
		read: func(name string) ([]byte, error) { return disk.read(at(name)) },
		glob: func(pattern string) ([]string, error) {
			names, err := disk.glob(at(pattern))
			for i, name := range names {
				names[i] = root + strings.TrimPrefix(name, dir)
			}
			return names, err
		}}
}

func importFolder(t *testing.T, folder, kind string, names, servers []string) *Result {
	t.Helper()
	var files []string
	for _, name := range names {
		files = append(files, filepath.Join(root, name))
	}
	result, err := importFrom(folderSource(filepath.Join("testdata", folder)), kind, files, Options{Servers: servers})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func TestImports(t *testing.T) {
	for _, c := range imports {
		t.Run(c.folder, func(t *testing.T) {
			result := importFolder(t, c.folder, c.kind, c.files, c.servers)
			expected := filepath.Join("testdata", c.folder, "expected")
			text := string(result.Config)
			expect(t, filepath.Join(expected, "portico.yaml"), text)
			if strings.Contains(text, secretMark) {
				t.Error("the configuration has a secret")
			}
			for _, file := range result.Files {
				if strings.Contains(file.Content, secretMark) != file.Secret {
					t.Errorf("%s: secret is %v", file.Name, file.Secret)
				}
				expect(t, filepath.Join(expected, file.Name), file.Content)
			}
			loads(t, result)
			if n := decisions(text); n != result.Decide || result.Taken == 0 {
				t.Errorf("%d comments to decide, want %d; %d taken", n, result.Decide, result.Taken)
			}
		})
	}
}

// decisions returns how many different comments of a configuration ask for a decision.
func decisions(text string) int {
	seen := map[string]bool{}
	comment := ""
	end := func() {
		if strings.Contains(comment, "decide: ") && !strings.Contains(comment, `"decide:"`) {
			seen[comment] = true
		}
		comment = ""
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if more, ok := strings.CutPrefix(line, "#   "); ok {
			comment += " " + more
			continue
		}
		end()
		if strings.HasPrefix(line, "# ") {
			comment = line
		}
	}
	end()
	return len(seen)
}

// expect compares a text with a file. With -update it writes the file.
func expect(t *testing.T, name, text string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != text {
		t.Errorf("%s differs: go test ./configs/importer -update writes it, and git diff shows what has changed\n%s",
			name, text)
	}
}
