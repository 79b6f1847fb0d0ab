package replay

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"portico/protolog"
)

// at is a row's time, in milliseconds after eight o'clock.
func at(ms int) string {
	eight := time.Date(2026, 11, 23, 8, 0, 0, 0, time.UTC)
	return eight.Add(millis(int64(ms))).Format("2006-01-02T15:04:05.000Z")
}

// row is a row of a log: when it ended, whose it is, its number, how long it took, and what stands behind that.
func row(ms int, session, user string, number, took int, rest string) string {
	const addresses = "192.0.2.1:993,198.51.100.7:4711"
	return fmt.Sprintf("%s,%s,%d,%s,%s,%d,%s,\n", at(ms), session, number, addresses, user, took, rest)
}

const (
	first  = "00000000000000aa"
	second = "00000000000000bb"
	third  = "00000000000000cc"
)

// monday is a log of three sessions: one from sign-in to LOGOUT, one that was open before and is cut off, and one that
// is open at the end.
func monday() string {
	return protolog.Heading() +
		row(0, second, "bob", 40, 0, `14,30,noop,,R=OK;_Mbx:mbx1`) +
		row(1000, first, "", 0, 0, "0,89,OpenSession,,") +
		row(1001, first, "", 1, 0, "10,89,capability,,R=OK") +
		row(1020, first, "ann", 2, 10, `27,197,login,ann *****,"R=OK;Msg=""Proxy:x:993;ProxySuccess"";_Mbx:mbx1"`) +
		row(1030, first, "ann", 3, 5, `12,200,select,"""Secret, Plans""",R=OK;_Mbx:mbx1;Rows=3`) +
		row(1090, first, "ann", 4, 50, `12,65432,uid fetch,7:9 (UID BODY.PEEK[]),R=OK;_Mbx:mbx1;Rows=3`) +
		row(61000, first, "ann", 5, 2, `12,60,idle,,R=OK;_Mbx:mbx1;Rows=1`) +
		row(61010, first, "ann", 6, 2, `12,800,uid fetch,9 (FLAGS),R=OK;_Mbx:mbx1;Rows=1`) +
		row(61020, first, "ann", 7, 2, `12,800,uid search,FROM {5},R=OK;_Mbx:mbx1;Rows=1`) +
		row(61030, first, "ann", 8, 2, `12,80,check,,R=OK;_Mbx:mbx1`) +
		row(61040, first, "ann", 9, 2, `12,80,logout,,R=OK;_Mbx:mbx1`) +
		row(61041, first, "ann", 10, 0, `120,80,CloseSession,,ErrMsg=logout;_Mbx:mbx1`) +
		row(62000, second, "bob", 41, 100, `3125,44,append,Sent () {3072},R=OK;_Mbx:mbx1`) +
		row(63000, second, "bob", 42, 0, `120,80,CloseSession,,ErrMsg=client;_Mbx:mbx1`) +
		row(64000, third, "ann", 1, 9, `27,197,authenticate,PLAIN {9},R=OK;_Mbx:mbx1`) +
		row(65000, "00000000000000dd", "", 1, 9, `27,197,login,eve *****,"R=""NO [AUTHENTICATIONFAILED] no"""`)
}

// fromLog makes a recording of logs.
func fromLog(t testing.TB, limit int, logs ...string) *Recording {
	t.Helper()
	c, err := NewCollector(limit)
	if err != nil {
		t.Fatal(err)
	}
	for _, log := range logs {
		if err := c.Add(t.Context(), strings.NewReader(log)); err != nil {
			t.Fatal(err)
		}
	}
	r, err := c.Recording()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// text is what Write writes.
func text(t testing.TB, r *Recording) string {
	t.Helper()
	var b bytes.Buffer
	if err := r.Write(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// bodies is the file without its first line.
func bodies(t testing.TB, r *Recording) string {
	_, rest, _ := strings.Cut(text(t, r), "\n")
	return rest
}

func TestFromLog(t *testing.T) {
	r := fromLog(t, 100, monday())
	want := `{"at_ms":0,"user":0,"open":true,"operations":["0 noop","61900 append:3100","63000 drop"]}
{"at_ms":1010,"user":1,"operations":["0 sign-in select fetch-body:65000*3 idle",` +
		`"59988 done fetch-flags:800*1 search other logout"]}
{"at_ms":63991,"user":1,"operations":["0 sign-in"]}
`
	if got := bodies(t, r); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if !r.Sessions[0].Open || r.Open != 1 || r.Users != 2 || r.SignIns != 2 || r.Commands != 13 || r.Seconds != 64 {
		t.Errorf("header: %+v", r.Header)
	}
	s := r.Source
	if s.Rows != 16 || s.NoSignIn != 0 || s.RefusedSignIn != 1 || s.Noops["check"] != 1 || s.Damaged != 0 {
		t.Errorf("source: %+v", s)
	}
	again, err := Read(strings.NewReader(text(t, r)))
	if err != nil {
		t.Fatal(err)
	}
	if text(t, again) != text(t, r) || !reflect.DeepEqual(again.Sessions, r.Sessions) {
		t.Error("it is another one once it was written and read")
	}
}

// TestFromLogInAnyOrder gives rows in another order, twice, from several files, compressed: it is the same recording.
func TestFromLogInAnyOrder(t *testing.T) {
	want := bodies(t, fromLog(t, 100, monday()))
	lines := strings.SplitAfter(monday(), "\n")
	var odd, even strings.Builder
	for i := len(lines) - 1; i >= 0; i-- {
		if i%2 == 0 {
			even.WriteString(lines[i])
		} else {
			odd.WriteString(lines[i])
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(odd.String()))
	z.Close()
	r := fromLog(t, 100, even.String(), packed.String(), even.String())
	if got := bodies(t, r); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if r.Source.Repeated == 0 {
		t.Error("repeated rows are not counted")
	}
}

// TestDamagedLog counts what cannot be read, and keeps the rest.
func TestDamagedLog(t *testing.T) {
	want := bodies(t, fromLog(t, 100, monday()))
	for name, c := range map[string]struct {
		log           string
		damaged, lost int
	}{
		"garbage": {"\x00\x01garbage\n" + monday(), 1, 0},
		"half":    {monday() + row(66000, first, "ann", 20, 1, "1,1,noop,,R=OK")[:60], 1, 0},
		"long":    {strings.Repeat("x", 200_000) + "\n" + monday(), 1, 0},
		"time": {strings.Replace(row(1, first, "ann", 30, 1, "1,1,noop,,R=OK"), "2026", "26", 1) + monday(), 1,
			0},
		"number":    {row(1, first, "ann", 30, 1, "x,1,noop,,R=OK") + monday(), 1, 0},
		"session":   {row(1, "../../etc/passwd", "ann", 30, 1, "1,1,noop,,R=OK") + monday(), 1, 0},
		"lost":      {"#Lost: 12 rows\n{\"lost\":3}\n" + monday(), 0, 15},
		"json":      {"{\"dateTime\":\"x\"}\n{\n" + monday(), 2, 0},
		"gzip only": {monday(), 0, 0},
	} {
		r := fromLog(t, 100, c.log)
		if got := bodies(t, r); got != want || r.Source.Damaged != c.damaged || r.Source.Lost != c.lost {
			t.Errorf("%s: %+v\n%s", name, r.Source, got)
		}
	}
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write([]byte(strings.Repeat(monday(), 50)))
	z.Close()
	r := fromLog(t, 100, monday(), packed.String()[:packed.Len()/2], "\x1f\x8bno")
	if bodies(t, r) != want || r.Source.Damaged < 2 {
		t.Errorf("a compressed file that was cut: %+v", r.Source)
	}
	c, _ := NewCollector(10)
	if _, err := c.Recording(); err == nil || !strings.Contains(err.Error(), "no session") {
		t.Errorf("an empty log: %v", err)
	}
}

// TestSample keeps a part of many sessions, whole, and says how many it left out.
func TestSample(t *testing.T) {
	const all, limit = 4000, 100
	var log strings.Builder
	for i := range all {
		id := fmt.Sprintf("%016x", uint64(i+1)*0x9e3779b97f4a7c15)
		user := fmt.Sprintf("user%d", i%500)
		log.WriteString(row(1000+i, id, user, 0, 1, "1,1,login,x,R=OK"))
		log.WriteString(row(1500+i, id, user, 1, 1, "1,1,noop,,R=OK"))
		log.WriteString(row(2000+i, id, user, 2, 1, "1,1,logout,,R=OK"))
	}
	r := fromLog(t, limit, log.String())
	if n := len(r.Sessions); n > limit || n < limit/4 {
		t.Errorf("%d sessions", n)
	}
	if r.Source.LeftOut < all/2 || r.Source.LeftOut > 2*all {
		t.Errorf("%d of %d left out", r.Source.LeftOut, all)
	}
	for i := range r.Sessions {
		if n := len(r.Sessions[i].Operations); n != 3 {
			t.Errorf("session %d has %d operations", i, n)
		}
	}
}

// TestNothingSecret puts names and secrets wherever a row has text, and finds none in the recording.
func TestNothingSecret(t *testing.T) {
	const secret = "s3cret"
	var log strings.Builder
	commands := []string{
		"login", "authenticate", "select", "examine", "status", "list", "search", "uid search", "fetch", "uid fetch",
		"append", "id", "copy", "store", "idle", "noop", "other", "CloseSession", "Proxy", "OpenSession", "logout",
	}
	for i, command := range commands {
		log.WriteString(fmt.Sprintf("%s,%s,%d,%s,%s,%s,1,10,20,%s,%s,R=OK;Msg=%s;_Mbx:%s;Rows=2,%s\n", at(i), first, i,
			secret, secret, secret, command, secret+" BODY["+secret+"]", secret, secret, secret))
	}
	for i := range 3 {
		log.WriteString(row(100+i, first, secret, 100+i, 1, "1,1,"+secret+",,R=OK"))
	}
	log.WriteString(row(200, first, secret, 104, 1, "1,1,"+strings.ToUpper(secret)+",,R=OK"))
	r := fromLog(t, 10, log.String())
	if all := text(t, r) + strings.Join(r.Summary(), "\n"); strings.Contains(strings.ToLower(all), secret) {
		t.Errorf("the recording tells:\n%s", all)
	}
	if r.Commands < len(commands)-3 {
		t.Errorf("%d commands", r.Commands)
	}
}
