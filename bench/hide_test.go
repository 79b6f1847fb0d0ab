package bench

import (
	"bufio"
	"context"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// repeater is a server that repeats in its answer to the first command what the client sent to sign in.
type repeater struct{ form string }

func (r *repeater) dial(context.Context, netip.Addr, *Target) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer server.Close()
		fmt.Fprint(server, "* OK hello\r\n")
		lines := bufio.NewScanner(server)
		lines.Scan()
		tag, said, _ := strings.Cut(lines.Text(), " ")
		verb, said, _ := strings.Cut(said, " ")
		if verb == "AUTHENTICATE" {
			fmt.Fprint(server, "+ \r\n")
			lines.Scan()
			said = lines.Text()
		}
		decoded, _ := base64.StdEncoding.DecodeString(said)
		form := strings.NewReplacer("{said}", said, "{decoded}", string(decoded), "{tag}", tag,
			"{escaped}", strings.ReplaceAll(string(decoded), `\`, `\\`)).Replace(r.form)
		fmt.Fprintf(server, "%s\r\n", form)
		for lines.Scan() {
		}
	}()
	return client, nil
}

// TestRepeatedPassword has servers repeat the sign-in in their answers, and wants no report to show a part of the
// password.
func TestRepeatedPassword(t *testing.T) {
	var forms []string
	for _, form := range []string{"{tag} NO %s{said}", "{tag} NO %s{decoded}", "{tag} NO %s{escaped}", "zz %s {said}",
		"* 1 FETCH (%s {said}", "* BYE %s{said}", "* %s {said}", "{tag} {said} %s", "+ %s{said}",
		"* 1 FETCH (FLAGS (%s{said}", "* OK [%s{said}", "{tag} NO [%s{said}] {said}"} {
		for _, pad := range []int{0, 148} {
			forms = append(forms, fmt.Sprintf(form, strings.Repeat("x", pad)))
		}
	}
	for _, password := range []Password{`hun"ter2secret`, `back\slash"quote\`, "Zq9tokenX7vv0", "qx7v vv9zq kk3wj",
		"Gr\u00fc\u00dfe"} {
		for _, mechanism := range []Mechanism{MechanismLogin, MechanismXOAuth2} {
			for _, form := range forms {
				checkRepeated(t, password, mechanism, form)
			}
		}
	}
}

func checkRepeated(t *testing.T, password Password, mechanism Mechanism, form string) {
	t.Helper()
	var shown strings.Builder
	synctest.Test(t, func(t *testing.T) {
		r := mustRun(t, Options{
			Targets: []Target{{Name: "repeater"}}, Users: []User{{Name: "alice", Password: password}},
			Profile: builtInProfile(t, "noop"), Dial: (&repeater{form}).dial, Mechanism: mechanism,
			Sessions: 1, Rate: 10, Duration: 200 * time.Millisecond, Timeout: 100 * time.Millisecond,
		})
		r.WriteTable(&shown)
		r.WriteJSON(&shown)
		if r.Fine() {
			t.Errorf("%s: it signed in", form)
		}
	})
	encoded := credential{User{Name: "alice", Password: password}, max(mechanism, MechanismPlain)}.encoded()
	for _, secret := range []string{string(password), encoded} {
		for i := 0; i+5 <= len(secret); i++ {
			if part := secret[i : i+5]; strings.Contains(shown.String(), part) {
				t.Errorf("%s by %s, %q: the report shows %q:\n%s", string(password), mechanism, form, part,
					firstErrors(shown.String()))
				return
			}
		}
	}
}

// firstErrors returns the part of a report that lists its errors.
func firstErrors(report string) string {
	_, rest, _ := strings.Cut(report, "errors\n")
	return rest[:min(len(rest), 600)]
}
