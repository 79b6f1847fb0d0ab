package node

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"portico/cmd/portico/release"
	"portico/health"
	"portico/health/admin"
)

const (
	keptBundles = 20
	logTail     = 256 << 10 // bytes of the protocol log
)

// bundle writes a file for whoever is asked for help: monitors, results, the recovery log, components, overrides,
// copies, and the end of the protocol log. None of it is secret. bundle returns the file's path.
func (s *service) bundle(ctx context.Context, alerts []health.Alert) (where string, err error) {
	now := time.Now().UTC()
	var out bytes.Buffer
	zipped := gzip.NewWriter(&out)
	files := tar.NewWriter(zipped)
	add := func(name string, text []byte) {
		err = cmp.Or(err,
			files.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: int64(len(text)), ModTime: now}))
		if err == nil {
			_, err = files.Write(text)
		}
	}
	for _, part := range []struct {
		name  string
		value any
	}{
		{"about.json", map[string]string{"node": s.config.node(),
			"version": release.Version(), "config": s.config.path}},
		{"alerts.json", alerts}, {"health.json", admin.MonitorRows(monitorsAPI{s}, "")},
		{"probes.json", admin.ProbeRows(probesAPI{s}, "", "", "")}, {"recovery.json", recoveryAPI{s}.Recovery()},
		{"components.json", s.components.set.States()},
		{"overrides.json", s.monitoring.overrides.InForce()},
		{"databases.json", s.mailbox.active.Copies()},
	} {
		text, failed := json.MarshalIndent(part.value, "", "  ")
		err = cmp.Or(err, failed)
		add(part.name, text)
	}
	add("protocol.log", protocolTail(s.protocol.Status().File))
	err = cmp.Or(err, files.Close(), zipped.Close())
	if err != nil {
		return "", err
	}
	return keepBundle(filepath.Join(s.config.started.DataDir, "bundles"), now, out.Bytes())
}

// protocolTail is the end of the protocol log's file, nil if it has none.
func protocolTail(path string) []byte {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.Size() > logTail {
		file.Seek(-logTail, io.SeekEnd)
	}
	text, _ := io.ReadAll(io.LimitReader(file, logTail))
	return text
}

// keepBundle writes a bundle to a directory, and removes the oldest.
func keepBundle(dir string, now time.Time, text []byte) (where string, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	where = filepath.Join(dir, "portico-"+now.Format("20060102T150405.000Z")+".tar.gz")
	if err := errors.Join(os.WriteFile(where+".new", text, 0o600), os.Rename(where+".new", where)); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir) // by name, so the oldest first
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !strings.HasSuffix(e.Name(), ".tar.gz") })
	for len(entries) > keptBundles {
		err = cmp.Or(err, os.Remove(filepath.Join(dir, entries[0].Name())))
		entries = entries[1:]
	}
	return where, err
}
