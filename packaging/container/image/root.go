package main

import (
	"archive/tar"
	"bytes"
	"encoding/pem"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// Where things are in the container, as on a machine.
const (
	programPath = "usr/bin/portico"
	configFile  = "/etc/portico/portico.yaml"
	dataFolder  = "/var/lib/portico"
)

// user is the number of the user and the group that Portico runs as. It is a number because Kubernetes cannot tell
// from a name that it is not root's.
const user = 65532

// entry is a file or a folder of the container.
type entry struct {
	name string
	mode int64
	user int
	data []byte // of a file; nil for a folder
}

// folders is everything but the program: it changes rarely, so a new version is one new layer.
func folders(license []byte) []entry {
	return []entry{
		{"etc", 0o755, 0, nil},
		{"etc/group", 0o644, 0, fmt.Appendf(nil, "root:x:0:\nportico:x:%d:\n", user)},
		{"etc/passwd", 0o644, 0, fmt.Appendf(nil,
			"root:x:0:0:root:/:/nonexistent\nportico:x:%[1]d:%[1]d:Portico:%[2]s:/nonexistent\n", user, dataFolder)},
		{"etc/portico", 0o755, 0, nil},
		{"etc/ssl", 0o755, 0, nil},
		{"etc/ssl/certs", 0o755, 0, nil},
		{"etc/ssl/certs/ca-certificates.crt", 0o644, 0, authorities()},
		{"run", 0o755, 0, nil},
		{"run/portico", 0o750, user, nil},
		{"tmp", 0o1777, 0, nil},
		{"usr", 0o755, 0, nil},
		{"usr/bin", 0o755, 0, nil},
		{"usr/share", 0o755, 0, nil},
		{"usr/share/doc", 0o755, 0, nil},
		{"usr/share/doc/portico", 0o755, 0, nil},
		{"usr/share/doc/portico/LICENSE", 0o644, 0, license},
		{"var", 0o755, 0, nil},
		{"var/lib", 0o755, 0, nil},
		{strings.TrimPrefix(dataFolder, "/"), 0o750, user, nil},
	}
}

// authorities returns Mozilla's CA certificates: those that need no further check, which PEM cannot express.
func authorities() []byte {
	var all bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			pem.Encode(&all, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // a Buffer takes everything
		}
	}
	return all.Bytes()
}

// programLayer is the layer with the program alone.
func programLayer(program string, at time.Time) (v1.Layer, error) {
	data, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	return newLayer([]entry{{programPath, 0o755, 0, data}}, at)
}

// newLayer returns a layer with these entries. All have the same time, so that the same entries give the same bytes.
func newLayer(entries []entry, at time.Time) (v1.Layer, error) {
	var all bytes.Buffer
	w := tar.NewWriter(&all)
	for _, e := range entries {
		header := &tar.Header{Typeflag: tar.TypeReg, Name: e.name, Mode: e.mode, Uid: e.user, Gid: e.user,
			Size: int64(len(e.data)), ModTime: at, Format: tar.FormatPAX}
		if e.data == nil {
			header.Typeflag, header.Name = tar.TypeDir, e.name+"/"
		}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(all.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer), tarball.WithCompressedCaching)
}
