package main

import (
	"cmp"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// stamp is what the Go tool wrote into a program: where it comes from.
type stamp struct {
	version, revision string
	at                time.Time // of the commit
}

func readStamp(program string) (stamp, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return stamp{}, err
	}
	setting := func(key string) string {
		i := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == key })
		if i < 0 {
			return ""
		}
		return info.Settings[i].Value
	}
	s := stamp{version: cmp.Or(info.Main.Version, "unknown"), revision: setting("vcs.revision"), at: time.Unix(0, 0)}
	if at, err := time.Parse(time.RFC3339, setting("vcs.time")); err == nil {
		s.at = at
	}
	s.at = s.at.UTC()
	return s, nil
}

// tag is the version as a tag of an image may be: without "+".
func (s stamp) tag() string { return strings.ReplaceAll(strings.Trim(s.version, "()"), "+", "-") }

// platformImage is the image for one processor.
type platformImage struct {
	v1.Image
	arch string
	stamp
}

// newImage makes the image of a program.
func newImage(program, arch string, license []byte) (platformImage, error) {
	s, err := readStamp(program)
	if err != nil {
		return platformImage{}, err
	}
	base, err := newLayer(folders(license), s.at)
	if err != nil {
		return platformImage{}, err
	}
	layer, err := programLayer(program, s.at)
	if err != nil {
		return platformImage{}, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &v1.ConfigFile{
		OS: "linux", Architecture: arch, Created: v1.Time{Time: s.at}, Config: containerConfig(s),
		RootFS: v1.RootFS{Type: "layers"},
	})
	if err != nil {
		return platformImage{}, err
	}
	image, err = mutate.Append(image,
		mutate.Addendum{Layer: base, History: v1.History{Created: v1.Time{Time: s.at}, CreatedBy: "folders and CAs"}},
		mutate.Addendum{Layer: layer, History: v1.History{Created: v1.Time{Time: s.at}, CreatedBy: "portico"}})
	return platformImage{image, arch, s}, err
}

// containerConfig is how the container runs, unless somebody says otherwise.
func containerConfig(s stamp) v1.Config {
	return v1.Config{
		User:       fmt.Sprintf("%[1]d:%[1]d", user),
		Entrypoint: []string{"/" + programPath},
		Cmd:        []string{"serve", "--config", configFile},
		Env:        []string{"PATH=/usr/bin"},
		WorkingDir: dataFolder,
		Volumes:    map[string]struct{}{dataFolder: {}},
		ExposedPorts: map[string]struct{}{
			"143/tcp": {}, "993/tcp": {}, "8143/tcp": {},
		},
		StopSignal: "SIGTERM",
		// The start period is the longest interval of a probe: until then a monitor may have no result yet.
		Healthcheck: &v1.HealthConfig{Test: []string{"CMD", "/" + programPath, "health", "report"},
			Interval: 30 * time.Second, Timeout: 10 * time.Second, StartPeriod: 6 * time.Minute, Retries: 3},
		Labels: map[string]string{
			"org.opencontainers.image.title":       "Portico",
			"org.opencontainers.image.description": "Instrumented IMAP proxy",
			"org.opencontainers.image.licenses":    "Apache-2.0",
			"org.opencontainers.image.version":     s.version,
			"org.opencontainers.image.revision":    s.revision,
			"org.opencontainers.image.created":     s.at.Format(time.RFC3339),
		},
	}
}

// write writes the layout with all images, and an archive of each. It replaces those of an earlier run, and returns a
// line for each file that it has written.
func write(out string, images []platformImage) (lines []string, err error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, image := range images {
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image.Image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: image.arch}}})
	}
	folder := filepath.Join(out, "image")
	if err := os.RemoveAll(folder); err != nil {
		return nil, err
	}
	path, err := layout.Write(folder, empty.Index)
	if err != nil {
		return nil, err
	}
	tag := images[0].tag()
	if err := path.AppendIndex(index, layout.WithAnnotations(map[string]string{
		"org.opencontainers.image.ref.name": tag})); err != nil {
		return nil, err
	}
	digest, err := index.Digest()
	if err != nil {
		return nil, err
	}
	lines = append(lines, fmt.Sprintf("%s: OCI layout with portico:%s, %s", folder, tag, digest))
	for _, image := range images {
		ref, err := name.NewTag("portico:" + tag)
		if err != nil {
			return nil, err
		}
		archive := filepath.Join(out, "portico-image-"+image.arch+".tar")
		if err := tarball.WriteToFile(archive, ref, image.Image); err != nil {
			return nil, err
		}
		lines = append(lines, fmt.Sprintf("%s: portico:%s for docker load", archive, tag))
	}
	return lines, nil
}
