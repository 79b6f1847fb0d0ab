package backend

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
)

// However many ask, a mailbox server is asked once at a time, and once a second; whoever goes away ends nothing for
// others.
func TestAnswersAreShared(t *testing.T) {
	testkit.NoLeaks(t)
	ln := testkit.Listen(t)
	var asked atomic.Int32
	var silent atomic.Bool
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			if silent.Load() {
				io.Copy(io.Discard, conn) // until whoever asks goes
			}
			conn.Close() // an answer too
		}
	}()
	var passed atomic.Int64
	began := time.Now()
	tier, err := newTestTier(t.Context(), Options{
		Servers:   []ServerOptions{{Name: "mbx1", Addresses: []string{ln.Addr().String()}}},
		Databases: []DatabaseOptions{{Name: "db1", Copies: []string{"mbx1"}}},
		Now:       func() time.Time { return began.Add(time.Duration(passed.Load())) },
	})
	if err != nil {
		t.Fatal(err)
	}
	for round := range int32(3) {
		var all sync.WaitGroup
		for range 30 {
			all.Go(func() {
				if _, told := tier.RecentChecks(t.Context())["mbx1"]; !told {
					t.Error("no answer")
				}
			})
		}
		all.Wait()
		if n := asked.Load(); n != round+1 {
			t.Errorf("after round %d, the server was asked %d times", round, n)
		}
		passed.Add(int64(answersKept))
	}
	passed.Add(int64(answersKept))
	silent.Store(true)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tier.RecentChecks(gone)["mbx1"]; !errors.Is(err, context.Canceled) {
		t.Errorf("of whoever has gone: %v", err)
	}
}
