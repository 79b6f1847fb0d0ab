package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cluster"
	"portico/configs/store"
	"portico/configs/store/etcdstore"
)

// clusterNode writes the configuration of a node of a site, and returns its file and data_dir.
func clusterNode(t *testing.T, etcd, name string) (file, data string) {
	t.Helper()
	dir := t.TempDir()
	file, data = filepath.Join(dir, "portico.yaml"), filepath.Join(dir, "data")
	for path, text := range map[string]string{filepath.Join(dir, "secret"): strings.Repeat("s", 32),
		file: `listeners: [{address: "127.0.0.1:1143", tls: none}]
settings: {login_type: plain_text_login}
mailbox_servers: {mbx1: {address: "127.0.0.1:2143", tls: none}}
databases: {db1: {copies: [mbx1]}}
data_dir: data
cluster: {name: ` + name + `, secret_file: secret, etcd: {endpoints: ["http://` + etcd + `"]}}
`} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return file, data
}

// entriesIn returns what a store in a folder has, but for what it says about the site. It writes changes first.
func entriesIn(t *testing.T, dir string, change map[string]string) map[string]string {
	t.Helper()
	s, err := store.Open(dir, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for key, value := range change {
		before, _ := s.Get(t.Context(), key)
		if _, err := s.CompareAndSet(t.Context(), key, before.Revision, []byte(value)); err != nil {
			t.Fatal(err)
		}
	}
	all, err := s.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	have := make(map[string]string)
	for _, e := range all {
		if !strings.HasPrefix(e.Key, "cluster/") {
			have[e.Key] = string(e.Value)
		}
	}
	return have
}

// A node goes to etcd and back without losing an entry, and etcd never has a secret of it. A second one with other
// entries is refused.
func TestClusterThereAndBack(t *testing.T) {
	etcd := testkit.Etcd(t, 1)[0].Address
	first, data := clusterNode(t, etcd, "mx1")
	before := entriesIn(t, data, map[string]string{"active/db1": "mbx2", "settings": `{"banner":"Hello"}`,
		"protocol_log/key": "a secret of 32 bytes, in plain text", "health/components/x": "1", "placed/ann": "db1"})
	run := func(want int, args ...string) (out string) {
		t.Helper()
		status, out, errs := command(args...)
		if status != want {
			t.Fatalf("%q: status %d\n%s%s", args, status, out, errs)
		}
		return out + errs
	}
	run(StatusFine, "cluster", "init", "--config", first)
	run(StatusFine, "cluster", "join", "--config", first) // it is in already
	site, err := etcdstore.Open(t.Context(), etcdstore.Options{Endpoints: []string{"http://" + etcd},
		Prefix: "/portico"})
	if err != nil {
		t.Fatal(err)
	}
	defer site.Close()
	all, err := site.List(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range all {
		if strings.Contains(string(e.Value), "plain text") {
			t.Errorf("etcd has the secret %s", e.Key)
		}
	}

	second, other := clusterNode(t, etcd, "mx2")
	entriesIn(t, other, map[string]string{"settings": "{}", "protocol_log/key": "another secret"})
	if out := run(StatusBad, "cluster", "join", "--config", second); !strings.Contains(out, `{"banner":"Hello"}`) ||
		strings.Contains(out, "another secret") {
		t.Errorf("refused with\n%s", out)
	}
	var refused clusterChange
	out := run(StatusBad, "cluster", "join", "--config", second, "-o", "json")
	if err := json.NewDecoder(strings.NewReader(out)).Decode(&refused); err != nil || len(refused.Differences) != 2 {
		t.Errorf("%v: %s", err, out)
	}
	run(StatusFine, "cluster", "join", "--config", second, "--discard")

	entriesIn(t, data, map[string]string{"settings": `{"banner":"Goodbye"}`}) // it has no effect any more
	run(StatusBad, "cluster", "leave", "--config", first)
	for range 2 {
		run(StatusFine, "cluster", "leave", "--config", first, "--discard")
	}
	after := entriesIn(t, data, nil)
	for key, value := range before {
		if after[key] != value {
			t.Errorf("%s was %q and is %q", key, value, after[key])
		}
	}
	if len(after) != len(before) {
		t.Errorf("%q became %q", before, after)
	}
}

// The set of databases that users are spread over is the site's, and changes while no node runs.
func TestPinInCluster(t *testing.T) {
	etcd := testkit.Etcd(t, 1)[0].Address
	file, data := clusterNode(t, etcd, "mx1")
	text, err := os.ReadFile(file)
	if err == nil {
		err = os.WriteFile(file, append(text, "routing: hash\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	entriesIn(t, data, map[string]string{"routing/hash/databases": `["db0"]`})
	site, err := etcdstore.Open(t.Context(), etcdstore.Options{Endpoints: []string{"http://" + etcd},
		Prefix: "/portico"})
	if err != nil {
		t.Fatal(err)
	}
	defer site.Close()
	self, err := cluster.Join(t.Context(), site, cluster.Node{Name: "mx2"}, cluster.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if status, _, errs := command("database", "pin", "--config", file); status != StatusFailed ||
		!strings.Contains(errs, "mx2") {
		t.Errorf("while a node runs: %d, %s", status, errs)
	}
	if err := self.Leave(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, words := range []string{"pin", "pinned"} {
		if status, out, errs := command("database", words, "--config", file); status != StatusFine {
			t.Errorf("%s: %d, %s%s", words, status, out, errs)
		}
	}
	if got := entriesIn(t, data, nil)["routing/hash/databases"]; got != `["db0"]` {
		t.Errorf("data_dir has %s", got)
	}
}
