package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/cli"
)

// A user who is put on a canary is signed out and in again at its server, and is back when it stops, by command or
// because its time is over. Its figures are beside those of the other servers.
func TestCanary(t *testing.T) {
	testkit.NoLeaks(t)
	site := newTwoServers(t)
	site.replace(t, "{db1: {copies: [mbx1, mbx2]}}", "{db1: {copies: [mbx1, mbx2], interchangeable: true}}")
	r := site.site.serve(t, site.dir+"/portico.yaml")
	users := filepath.Join(site.dir, "users")
	if err := os.WriteFile(users, []byte("# try it\n\nalice\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c := r.signIn(t)
	is := func(mbx1, mbx2 int) {
		t.Helper()
		if site.book.count("mbx1") != mbx1 || site.book.count("mbx2") != mbx2 {
			t.Errorf("%d users are on mbx1, %d on mbx2", site.book.count("mbx1"), site.book.count("mbx2"))
		}
	}
	is(1, 0)
	for _, refused := range []struct{ server, want string }{{"mbx1", "users are there already"},
		{"mbx9", "the server has no copy"}} {
		if got := r.asks(t, cli.StatusFailed, "canary", "start", "v2", "--database", "db1", "--server", refused.server,
			"--percent", "5"); !strings.Contains(got, refused.want) {
			t.Error(got)
		}
	}
	if got := r.asks(t, cli.StatusBad, "canary", "status"); strings.Contains(got, "v2") {
		t.Error(got)
	}
	start := []string{"canary", "start", "v2", "--database", "db1", "--server", "mbx2", "--users", users, "--for", "1h"}
	if got := r.asks(t, cli.StatusFine, start...); !strings.Contains(got, "0 % of db1 on mbx2 and 1 named") {
		t.Error(got)
	}
	const moved = "* BYE [UNAVAILABLE] Your mailbox is being moved*"
	c.Expect(moved)
	c = r.signIn(t)
	is(0, 1)
	if got := r.asks(t, cli.StatusFine, "user", "where", "alice"); !strings.Contains(got, "mbx2") {
		t.Error(got)
	}
	if got := r.asks(t, cli.StatusFine, "canary", "status", "-o", "wide"); !strings.Contains(got, "canary 0 %") ||
		!strings.Contains(got, "others") {
		t.Error(got)
	}
	if _, metrics := r.get(t, "/metrics"); !strings.Contains(metrics, "portico_canary_percent{canary=\"v2\"} 0\n") {
		t.Error("the canary has no metric")
	}
	r.asks(t, cli.StatusFine, "canary", "stop", "v2")
	c.Expect(moved)
	c = r.signIn(t)
	is(1, 0)
	r.asks(t, cli.StatusFine, start...)
	c.Expect(moved)
	c = r.signIn(t)
	is(0, 1)
	canaries := canariesAPI{r.service}
	canaries.endOver(t.Context(), time.Now())
	is(0, 1)
	canaries.endOver(t.Context(), time.Now().Add(time.Hour))
	c.Expect(moved)
	r.signIn(t)
	is(1, 0)
	if len(site.book.twice) > 0 {
		t.Errorf("on two servers: %q", site.book.twice)
	}
}
