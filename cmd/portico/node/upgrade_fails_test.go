//go:build unix

package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"portico/backend/backendtest/testkit"
	"portico/cmd/portico/datadir"
	"portico/cmd/portico/handover"
	"portico/configs"
	"portico/health/admin"
)

// diesAt is an environment variable that makes this program a process which begins to take another one's place, and is
// killed at a step.
const diesAt = "UPGRADE_DIES_AT"

// dieInAnUpgrade does that.
func dieInAnUpgrade() {
	step := os.Getenv(diesAt)
	if step == "" {
		return
	}
	die := func(at string) {
		if at == step {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "upgrade that dies:", err)
			os.Exit(1)
		}
	}
	conn, err := handover.FromParent()
	must(err)
	_, err = conn.Await(sayListeners)
	must(err)
	die(sayListeners)
	if step == "silence" {
		select {}
	}
	if step == handover.Failed {
		conn.Send(handover.Failed, "a reason")
		select {}
	}
	must(conn.Send(sayLoaded, "test"))
	die(sayLoaded)
	yours, err := conn.Await(sayYours)
	must(err)
	die(sayYours)
	config, err := configs.Load(os.Args[len(os.Args)-1])
	must(err)
	took := &takeover{from: conn, lock: yours.Files[0]}
	disk, err := took.openStore(config, "")
	must(err)
	stored := newStored(disk, disk)
	item, err := stored.settings.Get(context.Background())
	must(err)
	item.Value = map[string]string{"Banner": "Changed by the process that died."}
	_, err = stored.settings.Put(context.Background(), item)
	must(err)
	die("changed")
	os.Exit(1)
}

// Whatever becomes of the process that is to take over, the one before goes on as if nothing had been, with what the
// other one has stored.
func TestUpgradeFails(t *testing.T) {
	testkit.NoLeaks(t)
	site := newSite(t)
	site.serveMail(t)
	file := site.write(t, "")
	r := site.serve(t, file)
	r.upgrades.time = 5 * time.Second
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	session := r.signIn(t)
	for _, step := range []struct{ at, want string }{
		{sayListeners, "the other process has ended"},
		{sayLoaded, "the other process has ended"},
		{sayYours, "the other process has ended"},
		{"changed", "the other process has ended"},
		{handover.Failed, "a reason"},
		{"not there", "no such file"},
		{"silence", "in time"},
	} {
		t.Run(step.at, func(t *testing.T) {
			script := filepath.Join(site.dir, "next")
			if step.at == "not there" {
				script += "-not-there"
			} else {
				site.put(t, "next", fmt.Sprintf("#!/bin/sh\n%s=%s exec %s \"$@\"\n", diesAt, step.at, self))
				if err := os.Chmod(script, 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if step.at == "silence" {
				r.upgrades.time = 100 * time.Millisecond
			}
			_, err := r.upgrade(t.Context(), script, time.Hour)
			if err == nil || !strings.Contains(err.Error(), step.want) {
				t.Errorf("%v, want words %q", err, step.want)
			}
			session.Command("b", "NOOP")
			r.signIn(t).Command("b", "LOGOUT")
			if _, err := (settingsAPI{r.service}).ChangeSettings(t.Context(),
				admin.SettingsChange{Set: map[string]string{"MaxCommandsBurst": "300"}},
				func([]admin.SettingState) error { return nil }); err != nil {
				t.Errorf("settings: %v", err)
			}
			folder := filepath.Join(site.dir, "data", generationsFolder)
			if left, err := filepath.Glob(filepath.Join(folder, "*")); len(left) > 0 || err != nil {
				t.Errorf("left: %v, %v", left, err)
			}
			if err := r.store.try(); err != nil {
				t.Errorf("store: %v", err)
			}
			if _, err := r.moves.evacuate(t.Context(), "mbx1"); err != nil {
				t.Errorf("moves: %v", err)
			}
		})
	}
	testkit.Eventually(t, "what the other process has stored is in force", func() bool {
		return r.current().config.Settings.Banner == "Changed by the process that died."
	})
}

// If the process before dies, the one that starts ends too, until the store is its own. From then on it goes on.
func TestTheProcessBeforeDies(t *testing.T) {
	name, value, _ := strings.Cut(testkit.AsProgram, "=")
	t.Setenv(name, value)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		before string // the message that the process before does not send or get any more
		goesOn bool
	}{{sayListeners, false}, {sayLoaded, false}, {sayYours, false}, {sayReady, true}} {
		t.Run(c.before, func(t *testing.T) {
			u := &upgradable{site: newSite(t)}
			u.serveMail(t)
			u.configure(t, "settings: {login_type: plain_text_login}\n")
			config, err := configs.Load(u.file)
			if err != nil {
				t.Fatal(err)
			}
			disk, err := datadir.Open(config, u.file)
			if err != nil {
				t.Fatal(err)
			}
			next, err := handover.Start(self, "serve", "--config", u.file)
			if err != nil {
				t.Fatal(err)
			}
			defer next.Kill()
			for _, step := range []func() error{
				func() error { return next.Send(sayListeners, listenersMessage{DataDir: config.DataDir}) },
				func() error { _, err := next.Await(sayLoaded); return err },
				func() error { return next.Send(sayYours, carriedOver{}, disk.Lend()) },
			}[:slices.Index([]string{sayListeners, sayLoaded, sayYours, sayReady}, c.before)] {
				if err := step(); err != nil {
					t.Fatal(err)
				}
			}
			next.Close()
			disk.Close()
			if c.goesOn {
				testkit.Eventually(t, "it takes clients", func() bool {
					conn, err := net.Dial("tcp", u.address)
					if err == nil {
						conn.Close()
					}
					return err == nil
				})
				u.signedIn(t).Command("b", "LOGOUT")
				return
			}
			testkit.Eventually(t, "it has ended", func() bool {
				return errors.Is(syscall.Kill(next.PID, 0), syscall.ESRCH)
			})
			if disk, err = datadir.Open(config, u.file); err != nil {
				t.Fatal(err)
			}
			disk.Close()
		})
	}
}
