package main

import (
	"archive/tar"
	"bytes"
	"crypto/x509"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// writeOwn writes an image for two processors with this test as its program, and returns the folder.
func writeOwn(t *testing.T) string {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	var images []platformImage
	for _, arch := range []string{"amd64", "arm64"} {
		image, err := newImage(program, arch, []byte("the licence\n"))
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, image)
	}
	out := t.TempDir()
	for range 2 { // an earlier run is replaced
		if _, err := write(out, images); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// platforms returns the images of a layout, by processor.
func platforms(t *testing.T, folder string) (all map[string]v1.Image, digest v1.Hash) {
	t.Helper()
	path, err := layout.ImageIndexFromPath(folder)
	if err != nil {
		t.Fatal(err)
	}
	top, err := path.IndexManifest()
	if err != nil || len(top.Manifests) != 1 {
		t.Fatalf("%+v, %v", top, err)
	}
	digest = top.Manifests[0].Digest
	index, err := path.ImageIndex(digest)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	all = make(map[string]v1.Image)
	for _, m := range manifest.Manifests {
		if all[m.Platform.Architecture], err = index.Image(m.Digest); err != nil {
			t.Fatal(err)
		}
	}
	return all, digest
}

// The same program gives the same bytes, for each processor, in the layout and in the archive.
func TestSameProgramSameBytes(t *testing.T) {
	first, second := writeOwn(t), writeOwn(t)
	all, digest := platforms(t, filepath.Join(first, "image"))
	if _, again := platforms(t, filepath.Join(second, "image")); again != digest {
		t.Errorf("%s, then %s", digest, again)
	}
	for _, arch := range []string{"amd64", "arm64"} {
		archive := "portico-image-" + arch + ".tar"
		one, err := os.ReadFile(filepath.Join(first, archive))
		if err != nil {
			t.Fatal(err)
		}
		other, err := os.ReadFile(filepath.Join(second, archive))
		if err != nil || !bytes.Equal(one, other) {
			t.Errorf("%s is another one: %v", archive, err)
		}
		tag, err := name.NewTag("portico:devel")
		if err != nil {
			t.Fatal(err)
		}
		image, err := tarball.ImageFromPath(filepath.Join(first, archive), &tag)
		if err != nil {
			t.Fatal(err)
		}
		file, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if config, err := all[arch].ConfigFile(); err != nil || config.Architecture != arch ||
			file.Architecture != arch || file.Config.User != config.Config.User {
			t.Errorf("%s: %+v in the archive, %+v, %v", arch, file, config, err)
		}
	}
}

// The image has the program, and no shell. It runs as a number, which owns only what it writes.
func TestContentOfImage(t *testing.T) {
	all, _ := platforms(t, filepath.Join(writeOwn(t), "image"))
	image := all["amd64"]
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if c := config.Config; c.User != "65532:65532" || c.Entrypoint[0] != "/usr/bin/portico" ||
		c.Labels["org.opencontainers.image.licenses"] != "Apache-2.0" || c.Healthcheck.Test[0] != "CMD" {
		t.Errorf("%+v", c)
	}
	content := mutate.Extract(image)
	defer content.Close()
	var files, owned []string
	for r := tar.NewReader(content); ; {
		header, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if header.Typeflag == tar.TypeReg {
			files = append(files, header.Name)
		}
		if header.Uid == user {
			owned = append(owned, header.Name)
		} else if header.Mode&0o022 != 0 && header.Name != "tmp" {
			t.Errorf("everybody may write %s", header.Name)
		}
		if strings.HasSuffix(header.Name, "ca-certificates.crt") {
			pem, err := io.ReadAll(r)
			if err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) || bytes.Count(pem, []byte("BEGIN")) < 100 {
				t.Errorf("%d bytes of CA certificates, %v", len(pem), err)
			}
		}
	}
	slices.Sort(files)
	if want := []string{"etc/group", "etc/passwd", "etc/ssl/certs/ca-certificates.crt", "usr/bin/portico",
		"usr/share/doc/portico/LICENSE"}; !slices.Equal(files, want) {
		t.Errorf("files: %v", files)
	}
	slices.Sort(owned)
	if want := []string{"run/portico", "var/lib/portico"}; !slices.Equal(owned, want) {
		t.Errorf("owned: %v", owned)
	}
}
