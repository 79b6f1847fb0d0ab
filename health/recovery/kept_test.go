package recovery

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"portico/configs/store"
	"portico/health"
)

// fullDisk is a store that takes nothing while full is set.
type fullDisk struct {
	store.Store
	full bool
}

var errFull = errors.New("no space left on device")

func (d *fullDisk) CompareAndSet(ctx context.Context, key string, revision uint64, value []byte) (uint64, error) {
	if d.full {
		return 0, errFull
	}
	return d.Store.CompareAndSet(ctx, key, revision, value)
}

func (d *fullDisk) Delete(ctx context.Context, key string, revision uint64) error {
	if d.full {
		return errFull
	}
	return d.Store.Delete(ctx, key, revision)
}

// While the disk is full, recovery acts all the same, and each thing that is not kept is reported. When there is room
// again, the store catches up.
func TestFullDiskIsReported(t *testing.T) {
	w := newWorld(t)
	disk := &fullDisk{Store: w.store}
	w.store = disk
	w.start()
	var failures []string
	w.r.opt.Failed = func(err error) {
		if !errors.Is(err, errFull) {
			t.Errorf("reported %v", err)
		}
		failures = append(failures, err.Error())
	}
	reported := func(what string) bool {
		return slices.ContainsFunc(failures, func(text string) bool { return strings.HasPrefix(text, what+": ") })
	}
	const id = "IMAP.Protocol/ImapSelfTestMonitor/mbx1"
	disk.full = true
	w.set(health.Unhealthy, health.Networking, id)
	w.pass(lookEach)
	w.compare("restart_service mbx1", "")
	if !reported("recovery log") || !reported("store a ladder") {
		t.Errorf("reported %q", failures)
	}
	if w.log() != "RestartService/mbx1:Succeeded" || w.stored() != 0 {
		t.Errorf("the log has %s; %d ladders are stored", w.log(), w.stored())
	}
	w.pass(2 * lookEach) // the ladder has its note, and does not change any more
	disk.full, failures = false, nil
	w.pass(lookEach)
	if w.stored() != 1 || len(failures) > 0 {
		t.Errorf("with room again %d ladders are stored; reported %q", w.stored(), failures)
	}
	disk.full = true
	w.set(health.Healthy, "", id)
	w.pass(lookEach)
	if !reported("delete a ladder") || len(w.r.Ladders()) != 1 {
		t.Errorf("reported %q; ladders %+v", failures, w.r.Ladders())
	}
	disk.full = false
	w.pass(lookEach)
	if w.stored() != 0 || len(w.r.Ladders()) != 0 {
		t.Errorf("%d ladders are stored: %+v", w.stored(), w.r.Ladders())
	}
}

// What cannot be read of an earlier process is reported, and the rest goes on.
func TestDamagedLadders(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(lookEach)
	for _, key := range []string{storedLadders + "damaged", storedLadders + "of another key", storedLog + "damaged"} {
		text := "{"
		if strings.HasSuffix(key, "key") {
			text = `{"monitor":"S/M/mbx9"}`
		}
		if _, err := w.store.CompareAndSet(t.Context(), key, 0, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	var failures []string
	options := w.r.opt
	options.Failed = func(err error) { failures = append(failures, err.Error()) }
	r, err := New(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	if len(failures) != 2 || !strings.Contains(failures[0], "damaged: unexpected end") ||
		!strings.HasSuffix(failures[1], `of another key: it belongs to monitor "S/M/mbx9"`) {
		t.Errorf("reported %q", failures)
	}
	if l := r.Ladders(); len(l) != 1 || l[0].Server != "mbx1" || l[0].Rung != 1 || len(r.Records()) != 1 {
		t.Errorf("ladders %+v, records %+v", l, r.Records())
	}
	w.store.Close()
	if _, err := New(t.Context(), options); !errors.Is(err, store.ErrClosed) {
		t.Errorf("without a store: %v", err)
	}
}

// While component RecoveryActions is Inactive nothing is done, and people are told at once. When it is Active again,
// the ladders go on.
func TestRecoveryInactive(t *testing.T) {
	w := newWorld(t)
	const id = "SelfTestMonitor/mbx1"
	w.set(health.Unhealthy, health.Networking, id)
	w.pass(time.Minute)
	w.compare("restart_service mbx1", "")
	monitors := w.monitors
	w.monitors = nil
	w.pass(time.Hour)
	if m := monitors[slices.IndexFunc(monitors,
		func(m health.MonitorState) bool { return strings.HasSuffix(m.ID(), id) })]; !w.r.ForPeople(m) {
		t.Error("nobody is told while recovery is inactive")
	}
	if len(w.did) > 0 || w.stored() != 1 {
		t.Errorf("while it is inactive it did %q; %d ladders are stored", w.did, w.stored())
	}
	w.monitors = monitors
	w.pass(lookEach)
	w.compare("failover mbx1", "")
}

// While recovery of one mailbox server is off, nothing is done about it or about databases that are active there, and
// people are told at once. Its ladder goes on afterwards.
func TestRecoveryOffForOneServer(t *testing.T) {
	w := newWorld(t)
	w.set(health.Unhealthy, health.Networking, "SelfTestMonitor/mbx1")
	w.pass(time.Minute)
	w.compare("restart_service mbx1", "")
	w.off = map[string]bool{"mbx1": true}
	w.set(health.Unhealthy, health.InformationStore, "DeepTestMonitor/db1")
	w.pass(time.Hour)
	w.compare("", "Deep/db1 Self/mbx1")
	w.off = nil
	w.pass(lookEach)
	w.compare("failover mbx1", "")
}

// The recovery log keeps the last 1000 records, in memory and in the store. A record's number is never used again, not
// even that of one that cannot be read.
func TestRecoveryLogIsBounded(t *testing.T) {
	w := newWorld(t)
	log, err := openLog(t.Context(), w.store)
	if err != nil {
		t.Fatal(err)
	}
	for range 1003 {
		if err := log.put(t.Context(), &Record{ID: "ForceReboot"}); err != nil {
			t.Fatal(err)
		}
	}
	stored := func() (keys []string) {
		entries, err := w.store.List(t.Context(), storedLog)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			keys = append(keys, e.Key)
		}
		return keys
	}
	all, keys := log.Records(), stored()
	if len(all) != 1000 || all[0].Instance != 4 || len(keys) != 1000 || keys[0] != storedLog+logName(4) {
		t.Errorf("%d records from %d on; %d are stored, the first as %s", len(all), all[0].Instance,
			len(keys), keys[0])
	}
	changed := Record{Instance: 500, ID: "ServerFailover"}
	if err := log.put(t.Context(), &changed); err != nil {
		t.Fatal(err)
	}
	log.drop(t.Context(), 501)
	if _, err := w.store.CompareAndSet(t.Context(), storedLog+logName(2000), 0, []byte("{")); err != nil {
		t.Fatal(err)
	}
	again, err := openLog(t.Context(), w.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Log{log, again} {
		_, dropped := l.find(501)
		if r, ok := l.find(500); !ok || r.ID != "ServerFailover" || dropped || len(l.Records()) != 999 {
			t.Errorf("%d records, number 500 is %+v, number 501 found: %v", len(l.Records()), r, dropped)
		}
	}
	next := Record{ID: "ForceReboot"}
	if err := again.put(t.Context(), &next); err != nil || next.Instance != 2001 {
		t.Errorf("the next record is number %d: %v", next.Instance, err)
	}
}

// A new record gets a number of its own, though another writer has taken the next one for a record that cannot be read.
func TestNewRecordReplacesNone(t *testing.T) {
	w := newWorld(t)
	if _, err := w.store.CompareAndSet(t.Context(), storedLog+logName(1), 0, []byte("{")); err != nil {
		t.Fatal(err)
	}
	w.r.log.stored.Refresh(t.Context())
	ours := Record{ID: "ForceReboot", Resource: "mbx3", Result: ResultSkipped}
	if err := w.r.log.put(t.Context(), &ours); err != nil || ours.Instance != 2 {
		t.Errorf("the record is number %d: %v", ours.Instance, err)
	}
	if e, err := w.store.Get(t.Context(), storedLog+logName(1)); err != nil || string(e.Value) != "{" {
		t.Errorf("number 1 is %s, %v", e.Value, err)
	}
}

// While the disk is full, no more records stay in memory than the log keeps.
func TestUnsavedRecordsAreBounded(t *testing.T) {
	w := newWorld(t)
	log, err := openLog(t.Context(), &fullDisk{Store: w.store, full: true})
	if err != nil {
		t.Fatal(err)
	}
	for range maxRecords + 3 {
		if err := log.put(t.Context(), &Record{ID: "ForceReboot"}); !errors.Is(err, errFull) {
			t.Fatal(err)
		}
	}
	if all := log.Records(); len(log.unsaved) != maxRecords || all[0].Instance != 4 {
		t.Errorf("%d are unsaved, the first is %d", len(log.unsaved), all[0].Instance)
	}
}
