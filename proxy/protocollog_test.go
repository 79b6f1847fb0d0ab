package proxy

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"portico/protolog"
)

// A sign-in has a row for the way to the mailbox server and one for the command. Only a failure has an error.
func TestRowsOfSignIns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "rows")
	rows, err := protolog.New(protolog.Options{
		Settings: protolog.Settings{Enabled: true, Files: protolog.FileSettings{Location: dir,
			RollOver: protolog.Monthly}},
		Loops: 1, Log: zerolog.Nop(),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(rows.Close)
	h := start(t, TLSNone, func(o *Options) { o.ProtocolLog = rows })
	p := h.client()
	p.send("a LOGIN ann wrong\r\n")
	p.expect("a NO ")
	p.send("b LOGIN ann secret\r\n")
	p.expect("* OK ")
	<-h.relay.added
	h.server.Close()
	rows.Close()
	var got []string
	for line := range strings.Lines(rowsIn(t, dir)) {
		if fields := strings.SplitN(strings.TrimSpace(line), ",", 12); len(fields) == 12 && line[0] != '#' {
			got = append(got, fields[9]+" "+took.ReplaceAllString(fields[11], ""))
		}
	}
	want := []string{
		`OpenSession ,`,
		`Proxy "Msg=""Proxy:mbx1;ProxyNotAuthenticated"";ErrMsg=bad_credential;_Mbx:mbx1",`,
		`login "R=""NO [AUTHENTICATIONFAILED]"";Msg=""Proxy:mbx1;ProxyNotAuthenticated"";ErrMsg=bad_credential;_Mbx:mbx1",`,
		`Proxy "Msg=""ProxySuccess"";_Mbx:mbx1",`,
		`login "R=OK;Msg=""ProxySuccess"";_Mbx:mbx1",`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// took is a phase's time in a row.
var took = regexp.MustCompile(`;(Directory|Dial|TLS|Greeting|SignIn)=[0-9.]+`)

// rowsIn returns what a protocol log has written.
func rowsIn(t *testing.T, dir string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	return all.String()
}
