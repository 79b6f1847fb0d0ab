package main

import (
	"path"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
)

// The configurations for Compose and Kubernetes load.
func TestContainerConfigurations(t *testing.T) {
	const folder = "packaging/container"
	t.Run("compose", func(t *testing.T) {
		loadExample(t, readPage(t, path.Join(folder, "compose/portico/portico.yaml")))
	})
	t.Run("cluster", func(t *testing.T) {
		loadExample(t, readPage(t, path.Join(folder, "cluster/portico/portico.yaml")))
	})
	t.Run("kubernetes", func(t *testing.T) {
		first, _, _ := strings.Cut(readPage(t, path.Join(folder, "kubernetes/portico.yaml")), "\n---\n")
		var config struct{ Data map[string]string }
		if err := yaml.Unmarshal([]byte(first), &config); err != nil || config.Data["portico.yaml"] == "" {
			t.Fatalf("%v: %+v", err, config)
		}
		loadExample(t, config.Data["portico.yaml"])
	})
}
