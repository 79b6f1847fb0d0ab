package directory

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// source is a Source by a function.
type source func(ctx context.Context, q Query) (Entry, error)

func (s source) Lookup(ctx context.Context, q Query) (Entry, error) { return s(ctx, q) }

// says returns what a lookup of user gives, in words.
func says(t *testing.T, s Source, user string) string {
	t.Helper()
	e, err := s.Lookup(t.Context(), Query{User: user})
	var refused *RefusedError
	switch {
	case errors.Is(err, ErrNotFound):
		return "not found"
	case errors.As(err, &refused):
		return "refused: " + refused.Reason
	case errors.Is(err, ErrUnavailable):
		return "unavailable"
	case err != nil:
		return err.Error()
	}
	words := []string{}
	mode := map[Mode]string{ModePassthrough: "passthrough", ModeMaster: "master"}[e.Mode]
	for key, value := range map[string]string{"user": e.User, "database": e.Database, "server": e.Server,
		"mode": mode} {
		if value != "" {
			words = append(words, key+"="+value)
		}
	}
	slices.Sort(words)
	return strings.Join(words, " ")
}

func TestRules(t *testing.T) {
	rules, err := NewRules([]Rule{
		{Match: "guest?@*", Refuse: "no guests"},
		{Match: "*@old.example", User: "$1@new.example", Database: "db1"},
		{Regexp: `(a|b)[0-9]+`, Server: "mbx2"},
		{Match: "a.b*", Database: "db3"},
		{Match: "*@x.example", User: "${1}1@x.example"},
		{Match: "m*", Mode: "master"},
		{Match: "p*", Mode: "passthrough", Database: "db4"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{
		"guest1@example.org": "refused: no guests",
		"guest12@x":          "not found",
		"ann@old.example":    "database=db1 user=ann@new.example",
		"a17":                "server=mbx2",
		"a17c":               "not found", // the whole name
		"a.bcd":              "database=db3",
		"axb":                "not found", // a dot is a dot
		"bob@x.example":      "user=bob1@x.example",
		"mary":               "mode=master",
		"paul":               "database=db4 mode=passthrough",
		"$1@old.example":     "database=db1 user=$1@new.example", // what a name says is not expanded again
		"*@old.example":      "database=db1 user=*@new.example",
		"(a|b)[0-9]+":        "not found",
	} {
		if got := says(t, rules, user); got != want {
			t.Errorf("%s: %s, want %s", user, got, want)
		}
	}
	for _, bad := range []Rule{
		{}, {Match: "*"}, {Match: "*", Regexp: "x", Database: "db1"}, {Regexp: "(", Database: "db1"},
		{Match: "*", Database: "db1", Server: "mbx1"}, {Match: "*", Database: "db1", Refuse: "no"},
		{Match: "*", Mode: "open"}, {Match: "*", Mode: "master", Refuse: "no"},
	} {
		if _, err := NewRules([]Rule{bad}); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

func TestChain(t *testing.T) {
	rename, err := NewRules([]Rule{{Match: "*@old", User: "$1@NEW"}, {Match: "odd", User: "a*b"},
		{Match: "mary", Mode: "master"}})
	if err != nil {
		t.Fatal(err)
	}
	asked := ""
	place := source(func(_ context.Context, q Query) (Entry, error) {
		asked = q.User
		switch q.User {
		case "ann@new":
			return Entry{Database: "db1"}, nil
		case "down@new":
			return Entry{}, Unavailable("test", errors.New("down"))
		}
		return Entry{}, ErrNotFound
	})
	last := source(func(_ context.Context, q Query) (Entry, error) { return Entry{Server: "last"}, nil })
	chain := &Chain{Sources: []Source{rename, place, last}, Canonical: func(name string) (string, error) {
		if strings.Contains(name, "*") {
			return "", errors.New("no name")
		}
		return strings.ToLower(name), nil
	}}
	for user, want := range map[string]string{
		"ann@old":  "database=db1 user=ann@new",
		"bob@old":  "server=last user=bob@new",
		"down@old": "unavailable", // and not what the next would say
		"carol":    "server=last user=carol",
		"mary":     "mode=master server=last user=mary",
		"odd":      "unavailable",
	} {
		if got := says(t, chain, user); got != want {
			t.Errorf("%s: %s, want %s", user, got, want)
		}
	}
	if says(t, chain, "ann@old"); asked != "ann@new" {
		t.Errorf("the second source was asked for %s", asked)
	}
	chain.Sources = chain.Sources[:2]
	for user, want := range map[string]string{"bob@old": "user=bob@new", "carol": "not found"} {
		if got := says(t, chain, user); got != want {
			t.Errorf("without a last one, %s: %s, want %s", user, got, want)
		}
	}
}

func TestFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "users.map")
	now, reported := time.Unix(1e9, 0), []string{}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		now = now.Add(time.Minute)
		if err := os.Chtimes(path, now, now); err != nil {
			t.Fatal(err)
		}
	}
	write("# who is where\n\nann@example.org\tdb1\nBob@example.org server=mbx2 max_connections=3\n" +
		"dave@example.org refuse has left\neve@example.org refuse\n@example.net db2\n* db9\n")
	file, err := OpenFile(completed(FileOptions{Path: path, Now: func() time.Time { return now },
		Report: func(err error) { reported = append(reported, err.Error()) }}))
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string]string{
		"ann@example.org":  "database=db1",
		"bob@example.org":  "server=mbx2",
		"dave@example.org": "refused: has left",
		"eve@example.org":  "refused: disabled",
		"x@example.net":    "database=db2",
		"frank":            "database=db9",
		"*":                "database=db9",
	} {
		if got := says(t, file, user); got != want {
			t.Errorf("%s: %s, want %s", user, got, want)
		}
	}

	write("ann@example.org db7\n")
	if got := says(t, file, "ann@example.org"); got != "database=db7" {
		t.Errorf("after a change: %s", got)
	}
	write("ann@example.org db8\nann@example.org db9\n")
	for range 3 {
		now = now.Add(2 * time.Second)
		if got := says(t, file, "ann@example.org"); got != "database=db7" {
			t.Errorf("after a broken change: %s", got)
		}
	}
	if len(reported) != 1 || !strings.HasPrefix(reported[0], path+":2: ") {
		t.Errorf("reported %q", reported)
	}
	os.Remove(path)
	now = now.Add(2 * time.Second)
	if got := says(t, file, "ann@example.org"); got != "database=db7" || len(reported) < 2 {
		t.Errorf("after it went: %s; reported %q", got, reported)
	}
	write("ann@example.org db1\n")
	if got := says(t, file, "ann@example.org"); got != "database=db1" {
		t.Errorf("after it came back: %s", got)
	}
}

func TestMapMistakes(t *testing.T) {
	for text, want := range map[string]string{
		"ann":                             "1: the line says nothing",
		"# x\nann db1 db2":                "2: database must be given once",
		"ann database=":                   "1: database must be given once, with a value",
		"ann dbase=db1":                   "1: unknown key",
		"ann db1 server=mbx1":             "1: the line has both a database and a server",
		"ann max_connections=-1":          "1: max_connections must be a number",
		"ann db1\nANN db2":                "2: \"ann\" is here a second time",
		"ann " + strings.Repeat("x", 5e3): "1: ",
	} {
		if _, err := parseMap(strings.NewReader(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.40q: %v, want %q", text, err, want)
		}
	}
}

// FuzzMap wants no file to be taken half, nor to end the program.
func FuzzMap(f *testing.F) {
	f.Add("ann db1\n@x server=y\n* refuse no\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := parseMap(strings.NewReader(text))
		if (lines == nil) != (err != nil) {
			t.Errorf("%v and %v", lines, err)
		}
		for name, l := range lines {
			if name == "" || l.refuse == "" && l.entry == (Entry{}) {
				t.Errorf("%q: %+v", name, l)
			}
		}
	})
}

func TestCache(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int32
		answers := map[string]error{"ann": nil, "dave": &RefusedError{Reason: "left"},
			"down": Unavailable("test", errors.New("down"))}
		cache := cached(t, source(func(_ context.Context, q Query) (Entry, error) {
			asked.Add(1)
			err, known := answers[q.User]
			if !known {
				err = ErrNotFound
			}
			return Entry{Database: "db1"}, err
		}), CacheOptions{Positive: time.Minute, Negative: time.Second, Size: 3})
		ask := func(user, want string, questions int32) {
			t.Helper()
			asked.Store(0)
			if got := says(t, cache, user); got != want || asked.Load() != questions {
				t.Errorf("%s: %s with %d questions; want %s with %d", user, got, asked.Load(), want, questions)
			}
		}
		ask("ann", "database=db1", 1)
		ask("ann", "database=db1", 0)
		ask("dave", "refused: left", 1)
		ask("dave", "refused: left", 0)
		ask("nobody", "not found", 1)
		ask("nobody", "not found", 0)
		ask("down", "unavailable", 1)
		ask("down", "unavailable", 1) // never remembered
		time.Sleep(2 * time.Second)
		ask("dave", "refused: left", 1)
		ask("nobody", "not found", 1)
		ask("ann", "database=db1", 0)
		time.Sleep(time.Minute)
		ask("ann", "database=db1", 1)
		cache.Invalidate("ann")
		ask("ann", "database=db1", 1)
		cache.InvalidateAll()
		ask("ann", "database=db1", 1)
		for _, user := range []string{"a", "b", "c", "d", "e"} {
			ask(user, "not found", 1)
		}
		if n := len(cache.answers); n > 3 {
			t.Errorf("%d users remembered", n)
		}
	})
}

// Many who ask for one user are one question; what was asked before an invalidation is not remembered behind it,
// whichever question is answered first.
func TestCacheFlights(t *testing.T) {
	for _, oldFirst := range []bool{true, false} {
		for name, forget := range map[string]func(*Cache){
			"one": func(c *Cache) { c.Invalidate("ann") }, "all": (*Cache).InvalidateAll,
		} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { flights(t, forget, oldFirst) })
			})
		}
	}
}

func flights(t *testing.T, forget func(*Cache), oldFirst bool) {
	asked := make(chan chan string, 3) // where each question waits for its answer
	cache := cached(t, source(func(context.Context, Query) (Entry, error) {
		answer := make(chan string)
		asked <- answer
		return Entry{Database: <-answer}, nil
	}), CacheOptions{})
	var group sync.WaitGroup
	look := func(want string) {
		group.Go(func() {
			if got := says(t, cache, "ann"); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
	for range 50 {
		look("database=old")
	}
	synctest.Wait()
	forget(cache)
	look("database=new")
	synctest.Wait()
	if len(asked) != 2 {
		t.Fatalf("%d questions", len(asked))
	}
	before, after := <-asked, <-asked
	answers := [...]func(){func() { before <- "old" }, func() { after <- "new" }}
	if !oldFirst {
		answers[0], answers[1] = answers[1], answers[0]
	}
	answers[0]()
	synctest.Wait()
	look("database=new")
	synctest.Wait()
	answers[1]()
	group.Wait()
	look("database=new")
	group.Wait()
	if len(asked) != 0 {
		t.Error("the new answer was not remembered")
	}
}

// A waiter that gives up leaves the question to the others; so does the first, who asked it.
func TestCacheCancelled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		cache := cached(t, source(func(ctx context.Context, _ Query) (Entry, error) {
			select {
			case <-answer:
				return Entry{Database: "db1"}, nil
			case <-ctx.Done():
				return Entry{}, Unavailable("test", ctx.Err())
			}
		}), CacheOptions{})
		first, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		group.Go(func() { cache.Lookup(first, Query{User: "ann"}) })
		synctest.Wait()
		group.Go(func() {
			if got := says(t, cache, "ann"); got != "database=db1" {
				t.Errorf("got %s", got)
			}
		})
		gone, leave := context.WithCancel(t.Context())
		group.Go(func() {
			if _, err := cache.Lookup(gone, Query{User: "ann"}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		cancel()
		leave()
		synctest.Wait()
		close(answer)
		group.Wait()
	})
}
