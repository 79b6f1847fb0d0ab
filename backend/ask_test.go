package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// moods connects to servers in memory, by host: well, silent, slow, deaf (no connect), local (this machine cannot
// dial), down, bye.
func moods(ctx context.Context, _ netip.Addr, address string) (net.Conn, error) {
	host, _, _ := net.SplitHostPort(address)
	mood := strings.TrimRight(host, "0123456789")
	switch mood {
	case "down":
		return nil, syscall.ECONNREFUSED
	case "local":
		return nil, syscall.EMFILE
	case "unnamed":
		return nil, &net.DNSError{Err: "no such host", Name: host}
	case "deaf":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	near, far := net.Pipe()
	go func() {
		defer far.Close()
		switch mood {
		case "slow":
			time.Sleep(2 * time.Second)
			fallthrough
		case "well":
			io.WriteString(far, "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n")
		case "bye":
			io.WriteString(far, "* BYE too many\r\n")
		}
		io.Copy(io.Discard, far)
	}()
	return near, nil
}

// moody returns a tier over servers of such moods, and databases.
func moody(t *testing.T, servers []string, databases ...DatabaseOptions) *Tier {
	t.Helper()
	o := Options{Upstream: dialing(moods), Databases: databases, Directory: knows{}}
	for _, name := range servers {
		var addresses []string
		for _, mood := range strings.Split(name, "+") {
			addresses = append(addresses, mood+":143")
		}
		o.Servers = append(o.Servers, ServerOptions{Name: name, Addresses: addresses})
	}
	if len(databases) == 0 {
		o.Databases = []DatabaseOptions{{Name: "db1", Copies: servers[:1]}}
	}
	tier, err := newTestTier(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return tier
}

// However many servers are silent, each is judged by its own result within its own time.
func TestSilentServersTakeNothingFromOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := map[string]Reach{
			"well1": ReachUp, "silent1": ReachDown, "slow1": ReachUp, "deaf1": ReachDown, "local1": ReachUnknown,
			"unnamed1": ReachUnknown,
			"down1":    ReachDown, "bye1": ReachDown, "deaf2+well2": ReachUp,
		}
		var servers []string
		for name := range want {
			servers = append(servers, name)
		}
		for i := range 50 {
			want[fmt.Sprintf("silent%d", 10+i)] = ReachDown
			servers = append(servers, fmt.Sprintf("silent%d", 10+i))
		}
		tier := moody(t, servers)
		began := time.Now()
		found := tier.RecentChecks(t.Context())
		if took := time.Since(began); took != askTime {
			t.Errorf("it took %v, want %v", took, askTime)
		}
		for name, reach := range want {
			if got := ReachOf(found[name]); got != reach {
				t.Errorf("%s: %d, want %d: %v", name, got, reach, found[name])
			}
		}
		for name, words := range map[string]string{
			"silent1": "silent1: greeting: no answer to the new connection within 3s",
			"deaf1":   "deaf1: dial: no answer to the connect within 3s",
		} {
			if err := found[name]; err == nil || err.Error() != words {
				t.Errorf("%v, want %s", err, words)
			}
		}
		tier.protection.circuitBreakers.Configure(CircuitBreakerOptions{Failures: 1, First: time.Minute,
			Longest: time.Minute})
		time.Sleep(answersKept)
		tier.RecentChecks(t.Context())
		if open := tier.protection.circuitBreakers.Open(); open["silent1"] || !open["down1"] {
			t.Errorf("whoever looks opens breakers: %v", open)
		}
	})
}

// Whoever goes away before the answers learns nothing of any server.
func TestUnaskedIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tier := moody(t, []string{"well1", "silent1"})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for name, err := range tier.RecentChecks(ctx) {
			if ReachOf(err) != ReachUnknown {
				t.Errorf("%s: %v", name, err)
			}
		}
		cancel()
		synctest.Wait()
		if err := tier.checkQuickly(ctx, "well1"); ReachOf(err) != ReachUnknown {
			t.Errorf("after the end: %v", err)
		}
	})
}

// Silent servers cost a round of moves their time once, not once for each database; and no move treats a server that
// could not be asked as one that is down.
func TestMovesBesideSilentServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var databases []DatabaseOptions
		for i := range 40 {
			databases = append(databases, DatabaseOptions{Name: fmt.Sprintf("db%02d", i),
				Copies: []string{"down1", "silent1", "silent2", "well1"}})
		}
		databases = append(databases, DatabaseOptions{Name: "kept", Copies: []string{"local1", "well1"}})
		tier := moody(t, []string{"down1", "silent1", "silent2", "well1", "local1"}, databases...)
		began := time.Now()
		results := tier.Evacuate(t.Context(), "down1", nobody)
		if len(results) != 40 || slices.ContainsFunc(results, func(r MoveResult) bool { return r.To != "well1" }) {
			t.Errorf("moved: %v", results)
		}
		if took := time.Since(began); took != askTime {
			t.Errorf("%d moves took %v, want %v", len(results), took, askTime)
		}
		for _, r := range tier.Rebalance(t.Context(), nobody) {
			if r.Database == "kept" {
				t.Errorf("a server that could not be asked has lost its database: %+v", r)
			}
		}
		began = time.Now()
		if err := tier.Move(t.Context(), "kept", "silent1", nobody); !errors.Is(err, ErrNoCopy) &&
			!errors.Is(err, ErrNoAnswer) {
			t.Error(err)
		}
		if err := tier.Move(t.Context(), "db00", "silent1", nobody); !errors.Is(err, ErrNoAnswer) ||
			time.Since(began) > 2*askTime {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
	})
}

// A server that dies while databases move gets none of those whose turn comes later.
func TestServerThatDiesWhileDatabasesMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dead atomic.Bool
		o := Options{Directory: knows{}, Upstream: dialing(func(ctx context.Context, from netip.Addr,
			address string) (net.Conn, error) {
			if dead.Load() && strings.HasPrefix(address, "well1:") {
				return nil, syscall.ECONNREFUSED
			}
			return moods(ctx, from, address)
		})}
		for _, name := range []string{"down1", "well1", "well2"} {
			o.Servers = append(o.Servers, ServerOptions{Name: name, Addresses: []string{name + ":143"}})
		}
		for _, name := range []string{"db1", "db2"} {
			o.Databases = append(o.Databases, DatabaseOptions{Name: name, Copies: []string{"down1", "well1", "well2"}})
		}
		tier, err := newTestTier(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		results := tier.Evacuate(t.Context(), "down1", MoveOptions{End: func(string) {
			time.Sleep(2 * answersKept)
			dead.Store(true)
		}})
		if len(results) != 2 || results[0].To != "well1" || results[1].To != "well2" {
			t.Errorf("moved: %+v", results)
		}
	})
}
