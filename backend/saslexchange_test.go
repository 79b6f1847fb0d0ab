package backend

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/backend/directory"
	"portico/configs/store"
)

const scramFirst = "n,,n=alice,r=abc"

// asks is a server that sends a challenge and waits for the response.
var asks = dialogue{
	"S: * OK [CAPABILITY IMAP4rev1 AUTH=SCRAM-SHA-256 SASL-IR] ready",
	"C: p1 AUTHENTICATE SCRAM-SHA-256 " + b64(scramFirst), "S: + " + b64("r=abcdef,s=c2FsdA==,i=4096"),
}

// exchangeRig is a tier of two copies of a database, and alice's SCRAM exchange at the first.
type exchangeRig struct {
	*testing.T
	tier   *Tier
	asked  chan context.Context // the client has got its challenge
	answer chan error           // what it does then; nil is a response
	result chan error           // of the sign-in
}

func newExchangeRig(t *testing.T, d dialogue) *exchangeRig {
	t.Helper()
	mbx2 := server(TLSNone, nil, "127.0.0.1:1")
	mbx2.Name = "mbx2"
	r := &exchangeRig{
		T: t, tier: tier(t, Timeouts{}, server(TLSNone, nil, fake(t, nil, d)), mbx2),
		asked: make(chan context.Context, 1), answer: make(chan error), result: make(chan error, 1),
	}
	route, err := r.tier.Route(t.Context(), directory.Query{User: "alice"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	q := SignInRequest{Tag: "a1", User: "alice", Credential: Credential{Mechanism: "SCRAM-SHA-256", Username: "alice",
		First: scramFirst}}
	q.AnswerChallenge = func(ctx context.Context, _ []byte) ([]byte, error) {
		r.asked <- ctx
		return []byte("response"), <-r.answer
	}
	go func() {
		link, err := r.tier.SignIn(t.Context(), route, q)
		r.tier.Done(route)
		if err == nil {
			link.Conn.Close()
		}
		r.result <- err
	}()
	return r
}

func (r *exchangeRig) move() {
	r.Helper()
	if err := r.tier.active.Move(r.Context(), "db1", "mbx2", nobody); err != nil {
		r.Fatal(err)
	}
}

// underWay returns how many sign-ins are counted.
func (r *exchangeRig) underWay() int {
	m := r.tier.active
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.databases["db1"].signIns + len(m.exchanges)
	for _, u := range m.users {
		n += u.signIns
	}
	return n
}

// TestMoveEndsExchanges: a silent client holds up no move, and its exchange goes no further, whatever the client does
// then.
func TestMoveEndsExchanges(t *testing.T) {
	testkit.NoLeaks(t)
	moves := map[string]func(*exchangeRig){
		"database": (*exchangeRig).move,
		"user": func(r *exchangeRig) {
			if err := r.tier.active.MoveUser(r.Context(), "alice", "db1", func(string) {}); err != nil {
				r.Fatal(err)
			}
		},
	}
	for name, move := range moves {
		for client, answer := range map[string]error{"is broken off": errors.New("broken off"), "answers": nil} {
			t.Run(name+", client "+client, func(t *testing.T) {
				r := newExchangeRig(t, asks)
				ctx := <-r.asked
				if n := r.underWay(); n != 1 { // the exchange itself
					t.Errorf("%d sign-ins counted while the client is asked", n)
				}
				began := time.Now()
				move(r)
				if took := time.Since(began); took > quietTime/2 {
					t.Errorf("the move took %v", took)
				}
				<-ctx.Done()
				r.answer <- answer
				e := failure(t, <-r.result)
				if e.Kind != KindNoActiveCopy || e.Phase != PhaseSignIn {
					t.Errorf("got %v", e)
				}
				if n := r.underWay(); n != 0 {
					t.Errorf("%d sign-ins still counted", n)
				}
			})
		}
	}
}

// TestExchangeGoesOn has an exchange of two challenges, after which nothing is counted.
func TestExchangeGoesOn(t *testing.T) {
	testkit.NoLeaks(t)
	r := newExchangeRig(t, append(asks[:len(asks):len(asks)], "C: "+b64("response"), "S: + "+b64("v=proof"),
		"C: "+b64("response"), signedIn))
	for range 2 {
		<-r.asked
		r.answer <- nil
	}
	if err := <-r.result; err != nil {
		t.Fatal(err)
	}
	if n := r.underWay(); n != 0 {
		t.Errorf("%d sign-ins still counted", n)
	}
	r.move()
}

// TestExchangeIsCountedAgain: a move waits for the rest of an exchange whose client has answered.
func TestExchangeIsCountedAgain(t *testing.T) {
	moves := map[string]func(context.Context, *ActiveManager) error{
		"database": func(ctx context.Context, m *ActiveManager) error { return m.Move(ctx, "db1", "mbx2", nobody) },
		"user": func(ctx context.Context, m *ActiveManager) error {
			return m.MoveUser(ctx, "alice", "db1", func(string) {})
		},
	}
	for name, move := range moves {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := manager(t, store.Memory())
				if _, err := m.leased(t.Context(), "db1", "alice", nil); err != nil {
					t.Fatal(err)
				}
				answer := func(context.Context) ([]byte, error) { return nil, nil }
				if _, err := m.askClient(t.Context(), Route{Database: "db1", User: "alice", leased: true},
					answer); err != nil {
					t.Fatal(err)
				}
				moved := make(chan error, 1)
				go func() { moved <- move(t.Context(), m) }()
				synctest.Wait()
				if len(moved) > 0 {
					t.Errorf("the move has not waited: %v", <-moved)
					return
				}
				m.release("db1", "alice")
				if err := <-moved; err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// TestExchangeThatBeginsDuringAMove ends at once.
func TestExchangeThatBeginsDuringAMove(t *testing.T) {
	testkit.NoLeaks(t)
	m := manager(t, store.Memory())
	if _, err := m.leased(t.Context(), "db1", "alice", func(f func()) { f() }); err != nil {
		t.Fatal(err)
	}
	moved := make(chan error, 1)
	go func() { moved <- m.Move(t.Context(), "db1", "mbx2", nobody) }()
	testkit.Eventually(t, "the move waits", func() bool { return m.Copies()[0].Moving })
	_, err := m.askClient(t.Context(), Route{Database: "db1", User: "alice", leased: true},
		func(ctx context.Context) ([]byte, error) {
			if err := <-moved; err != nil {
				t.Error(err)
			}
			return nil, context.Cause(ctx)
		})
	if !errors.Is(err, errMoving) {
		t.Errorf("got %v", err)
	}
	m.release("db1", "alice")
}
