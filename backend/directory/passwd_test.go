package directory

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"portico/backend/secret"
)

// Hashes that other programs made: OpenSSL, Dovecot, the reference of argon2.
const (
	cryptHash  = "$6$saltstring$AIsRs/Ee56G/tC8MEHhvReZTfx8u3rXXMl6eYrjCG9ibix19DxoMBLogdTET5Ukw9Sf7eZTITsuk0Ry5qulYz."
	roundsHash = "{SHA512-CRYPT}$6$rounds=1000$XaKGsLenM9Sb5dAo$ev6G2oksJu75k8yKKPGuOqOLGXfGcp89JiaTtljb1IpT8TT5Uyvq8jQX41h5N2dHqA6qDkRtVXRE19XX717Lz1"
	blowHash   = "{BLF-CRYPT}$2y$05$u.zBhz1P0LWnhEcjv6rgfusAnmQ9Tzs31bcPXxb7ZFacRBZVbo8GC"
	argonHash  = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
	long       = "long password of more than sixty-four bytes, which is where the sum starts again"
)

// judges returns a verdict in words.
func judges(t *testing.T, v Verifier, user, password string) string {
	t.Helper()
	_, err := v.Verify(t.Context(), Query{User: "mailbox@example.org", Login: user, Password: secret.Value(password)})
	var refused *RefusedError
	switch {
	case err == nil:
		return "right"
	case errors.Is(err, ErrBadCredential):
		return "wrong"
	case errors.Is(err, ErrNotFound):
		return "not found"
	case errors.As(err, &refused):
		return "refused"
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	}
	return err.Error()
}

func TestPasswd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "passwd")
	now, told := time.Unix(1e9, 0), ""
	write := func(text string) {
		t.Helper()
		now = now.Add(time.Minute)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, now, now)); err != nil {
			t.Fatal(err)
		}
	}
	write("# who may\n\nann:" + cryptHash + "\nBob:" + roundsHash + ":1000:1000::/home/bob\ncarol:" + blowHash +
		"\nfrank:" + argonHash +
		"\ndave:!" + cryptHash + "\neve:*\n")
	p, err := OpenPasswd(completed(FileOptions{Path: path, Now: func() time.Time { return now },
		Report: func(err error) { told += err.Error() }}))
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ user, password, want string }{
		{"ann", "secret", "right"},
		{"ann", "secret ", "wrong"},
		{"ann", "Secret", "wrong"},
		{"ann", "", "wrong"},
		{"ann", strings.Repeat("x", 64<<10), "wrong"},
		{"ann", cryptHash, "wrong"},
		{"bob", long, "right"},
		{"bob", long[:72], "wrong"},
		{"carol", "secret", "right"},
		{"carol", "sec", "wrong"},
		{"frank", "password", "right"},
		{"frank", "password1", "wrong"},
		{"dave", "secret", "refused"},
		{"eve", "secret", "refused"},
		{"eve", "", "wrong"},
		{"nobody", "secret", "not found"},
		{"", "secret", "not found"},
		{"mailbox@example.org", "secret", "not found"},
	} {
		if got := judges(t, p, test.user, test.password); got != test.want {
			t.Errorf("%s with %.20q: %s, want %s", test.user, test.password, got, test.want)
		}
	}
	write("ann:" + roundsHash + "\n")
	if got := judges(t, p, "ann", long); got != "right" {
		t.Errorf("after a change: %s", got)
	}
	write("ann:" + cryptHash + "\nbob:$6$" + long + "\n")
	if got := judges(t, p, "ann", long); got != "right" || !strings.HasPrefix(told, path+":2: ") ||
		strings.Contains(told, long) {
		t.Errorf("after a mistake: %s, told %s", got, told)
	}
	write("")
	if got := judges(t, p, "ann", long); got != "not found" {
		t.Errorf("with nobody in the file: %s", got)
	}
}

func TestPasswdMistakes(t *testing.T) {
	sum := strings.Repeat("a", 86)
	for text, want := range map[string]string{
		"ann":                               "needs a name, a colon",
		":" + cryptHash:                     "needs a name, a colon",
		"ann:":                              "the hash is empty",
		"ann::1000":                         "the hash is empty",
		"ann:secret":                        "must be bcrypt",
		"ann:{PLAIN}secret":                 "the scheme must be one of",
		"ann:{CRYPT}$1$aa$bb":               "must be bcrypt",
		"ann:" + blowHash[11:70]:            "must be bcrypt",
		"ann:" + cryptHash[:90]:             "must be bcrypt",
		"ann:$2y$31$" + blowHash[18:]:       "cost must be 4 to 14",
		"ann:$2y$03$" + blowHash[18:]:       "cost must be",
		"ann:$6$rounds=999999999$s$" + sum:  "rounds must be",
		"ann:$6$rounds=9$s$" + sum:          "rounds must be",
		"ann:$6$rounds=9999999999$s$" + sum: "must be bcrypt",
		"ann:" + strings.Replace(argonHash, "m=256", "m=4194304", 1):   "m must be",
		"ann:" + strings.Replace(argonHash, "t=2", "t=1000", 1):        "t must be",
		"ann:" + strings.Replace(argonHash, "t=2", "t=0", 1):           "t must be",
		"ann:" + strings.Replace(argonHash, "p=1", "p=0", 1):           "p must be",
		"ann:" + strings.Replace(argonHash, "p=1", "p=255", 1):         "must be",
		"ann:" + argonHash[:50]:                                        "cut off",
		"ann:" + cryptHash + "\nANN:" + cryptHash:                      `2: "ann" is here a second time`,
		"\nann:" + cryptHash + "\nbob:" + strings.Repeat("x", maxLine): "3: ",
	} {
		_, err := parsePasswd(strings.NewReader(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%.60q: %v, want %q", text, err, want)
		}
	}
}

// Who is not in the file, or locked out, is judged by somebody's hash: an answer that comes at once would tell
// strangers.
func TestPasswdTakesItsTime(t *testing.T) {
	judged := 0
	p, err := OpenPasswd(completed(FileOptions{Path: os.DevNull}))
	if err != nil {
		t.Fatal(err)
	}
	counts := hashFunc(func([]byte) bool { judged++; return true })
	p.file.content.Store(&passwords{of: map[string]hash{"ann": counts, "dave": nil}, hashes: []hash{counts}})
	for user, want := range map[string]string{"ann": "right", "dave": "refused", "nobody": "not found"} {
		judged = 0
		if got := judges(t, p, user, "x"); got != want || judged != 1 {
			t.Errorf("%s: %s after %d hashes, want %s after 1", user, got, judged, want)
		}
	}
}

type hashFunc func([]byte) bool

func (f hashFunc) matches(password []byte) bool { return f(password) }

// verifier is a Verifier by a table of verdicts, by user.
type verifier map[string]error

func (v verifier) Verify(_ context.Context, q Query) (string, error) {
	if err, ok := v[q.Login]; ok {
		return q.Login, err
	}
	return "", ErrNotFound
}

func TestVerifiers(t *testing.T) {
	vs := Verifiers{
		verifier{"ann": nil, "bob": ErrBadCredential, "down": Unavailable("test", errors.New("down")),
			"left": &RefusedError{Reason: "left"}},
		verifier{"bob": nil, "down": nil, "left": nil, "carol": nil},
	}
	for user, want := range map[string]string{
		"ann": "right", "bob": "wrong", "down": "unavailable", "left": "refused", "carol": "right",
		"nobody": "not found",
	} {
		if got := judges(t, vs, user, "x"); got != want {
			t.Errorf("%s: %s, want %s", user, got, want)
		}
	}
	if got := judges(t, NewBound(1, time.Second, here).Verifier(vs), "bob", "x"); got != "wrong" {
		t.Errorf("behind a bound: %s", got)
	}
	if got := judges(t, Verifiers{}, "ann", "x"); got != "not found" {
		t.Errorf("nobody to ask: %s", got)
	}
}

// FuzzPasswd wants no hash that costs without bounds, nor one that ends the program.
func FuzzPasswd(f *testing.F) {
	for _, h := range []string{cryptHash, roundsHash, blowHash, argonHash, "!"} {
		f.Add("ann:" + h + "\n")
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePasswd(strings.NewReader(text))
		if err != nil && p.of != nil {
			t.Errorf("%v and %v", p, err)
		}
		for _, h := range p.hashes {
			switch h := h.(type) {
			case sha512CryptHash:
				if h.rounds > maxCryptRounds || len(h.salt) == 0 {
					t.Errorf("%+v", h)
				}
			case argon2Hash:
				if h.memory > maxArgon2Memory || h.time > maxArgon2Time || h.time == 0 || h.ways == 0 {
					t.Errorf("%+v", h)
				}
			}
		}
	})
}
