//go:build unix

package peers

import (
	"crypto/tls"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// A turn of sign-ins is short, as a proxy that has had nothing to do for seconds gives memory back; so each round has
// several.
const (
	perSignIn   = 400
	signInTurns = 3
)

// signInRow measures what new sessions cost; they end outside of the measure.
func signInRow(s *site, all []starter, overTLS bool, rounds int) (*row, error) {
	running, err := startAll(s, all)
	defer stopAll(running)
	if err != nil {
		return nil, err
	}
	r := &row{name: "sign-in, plain", unit: "us CPU each", bar: 1.0, unranked: map[string]bool{"haproxy": true}}
	var config, postQuantum *tls.Config
	if overTLS {
		r.name, r.bar, config = "sign-in, new TLS session", 0.7, s.client
		if postQuantum, err = clientTLS(s.ca); err != nil {
			return nil, err
		}
	}
	helping := make(map[string][]float64)
	var quantum []float64
	one := func(p *Peer, config *tls.Config) (own, helper float64, err error) {
		var opened []*client
		mine, theirs, err := p.spentOn(func() (err error) {
			opened, err = signInMany(p.address(overTLS), config, perSignIn)
			return err
		})
		closeAll(opened)
		time.Sleep(100 * time.Millisecond) // the ends are not part of the next turn
		return micros(mine.cpu) / perSignIn, micros(theirs.cpu) / perSignIn, err
	}
	for _, p := range running { // what is first is not measured
		if _, _, err := one(p, config); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	err = takeTurns(running, signInTurns*rounds, func(p *Peer) error {
		own, helper, err := one(p, config)
		if err != nil {
			return err
		}
		r.add(p.Name, own)
		helping[p.Name] = append(helping[p.Name], helper)
		if p.Name == portico && overTLS {
			own, _, err = one(p, postQuantum)
			quantum = append(quantum, own)
		}
		return err
	})
	var notes []string
	if helping["nginx"] != nil {
		notes = append(notes,
			fmt.Sprintf("who answers their questions, apart: nginx %s, dovecot %s; haproxy signs nobody in",
				spreadOf(helping["nginx"]), spreadOf(helping["dovecot"])))
	}
	if overTLS {
		notes = append(notes, fmt.Sprintf("portico with X25519MLKEM768, its default: %s", spreadOf(quantum)))
	}
	r.note = strings.Join(notes, "; ")
	return r, err
}

// sessionTime is how long a turn of whole sessions lasts: long enough for what a proxy does later, such as collecting
// garbage.
const sessionTime = 2 * time.Second

// shortSession is a kind of whole sessions: connect, LOGIN, LOGOUT, close.
type shortSession struct {
	name    string
	bar     float64
	tls     bool   // between client and proxy, each a new TLS session
	logging string // Portico's level; the peers have their default, which is errors or warnings
}

// shortSessions are the kinds that are measured. A row with TLS has the hybrid key exchange if the peers' OpenSSL has
// it.
func shortSessions() []shortSession {
	return []shortSession{
		{name: "short session, plain, default logging", bar: 0.95, logging: "info"},
		{name: "short session, plain, warnings only", bar: 0.9, logging: "warn"},
		{name: "short session, new TLS session", bar: 0.85, tls: true, logging: "info"},
	}
}

// shortSessionRow measures whole sessions, their ends included. Who answers a peer's questions of who may sign in is
// part of its cost. HAProxy signs nobody in; it is ranked in the row with TLS alone, where the handshake is most of
// the cost.
func shortSessionRow(s *site, all []starter, kind shortSession, rounds int) (*row, error) {
	s.logging = kind.logging
	defer func() { s.logging = quiet }()
	running, err := startAll(s, all)
	defer stopAll(running)
	if err != nil {
		return nil, err
	}
	r := &row{name: kind.name, unit: "us CPU each", bar: kind.bar, unranked: map[string]bool{"haproxy": !kind.tls}}
	var config *tls.Config
	if kind.tls {
		var hybrid string
		if config, hybrid, err = s.newTLS(); err != nil {
			return nil, err
		}
		r.name += hybrid
	}
	rates := make(map[string][]float64)
	turn := func(p *Peer, length time.Duration) (cost float64, err error) {
		var done int64
		own, helping, err := p.spentOn(func() (err error) {
			done, err = wholeSessions(p.address(kind.tls), config, length)
			time.Sleep(50 * time.Millisecond) // the last ones end at the proxy too
			return err
		})
		if err != nil {
			return 0, err
		}
		rates[p.Name] = append(rates[p.Name], float64(done)/length.Seconds())
		return micros(own.cpu+helping.cpu) / float64(done), nil
	}
	for _, p := range running { // what is first is not measured
		if _, err := turn(p, sessionTime/4); err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		rates[p.Name] = nil
	}
	err = takeTurns(running, rounds, func(p *Peer) error {
		cost, err := turn(p, sessionTime)
		r.add(p.Name, cost)
		return err
	})
	each := make(map[string]string)
	for name, values := range rates {
		each[name] = fmt.Sprintf("%.0f", spreadOf(values).median)
	}
	r.note = "sessions a second, 8 at a time: " + inOrder(each)
	return r, err
}

// wholeSessions has sessions begin and end, a few at a time, and returns how many did.
func wholeSessions(addr string, config *tls.Config, length time.Duration) (int64, error) {
	var done, next atomic.Int64
	var work errgroup.Group
	for end, worker := time.Now().Add(length), 0; worker < 8; worker++ {
		work.Go(func() error {
			for time.Now().Before(end) {
				c, err := signIn(addr, config, fmt.Sprintf("user%d", next.Add(1)%1000))
				if err != nil {
					return err
				}
				err = c.do("a LOGOUT\r\n")
				c.conn.Close()
				if err != nil {
					return fmt.Errorf("LOGOUT: %w", err)
				}
				done.Add(1)
			}
			return nil
		})
	}
	err := work.Wait()
	return done.Load(), err
}

func micros(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e3 }
