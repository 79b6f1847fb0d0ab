// Package container holds what runs Portico in containers: the program that writes its image, a Compose project and
// the objects for Kubernetes. Its tests check these by the schemas of their own projects.
package container

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// The Compose project has the form that Docker Compose demands, and no key that it does not know.
func TestCompose(t *testing.T) {
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  "compose",
		ConfigFiles: []types.ConfigFile{{Filename: "compose/compose.yaml"}},
		Environment: types.Mapping{"PORTICO_VERSION": "v1.0.0", "USER_PASSWORD": "secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	portico, err := project.GetService("portico")
	if err != nil {
		t.Fatal(err)
	}
	if portico.Image != "portico:v1.0.0" || !portico.ReadOnly || len(portico.Ports) != 2 {
		t.Errorf("%+v", portico)
	}
	if _, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		ConfigFiles: []types.ConfigFile{{Content: []byte("services: {a: {image: a, replica: 2}}")}}}); err == nil {
		t.Error("a key that is not known passes")
	}
}

// The project of two nodes has the form too, and differs between nodes only in what must differ.
func TestComposeCluster(t *testing.T) {
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir:  "cluster",
		ConfigFiles: []types.ConfigFile{{Filename: "cluster/compose.yaml"}},
		Environment: types.Mapping{"PORTICO_VERSION": "v1.0.0", "USER_PASSWORD": "secret"},
	})
	if err != nil {
		t.Fatal(err)
	}
	one, two := project.Services["mx1"], project.Services["mx2"]
	if one.Hostname != "mx1" || two.Hostname != "mx2" || two.Image != one.Image || !two.ReadOnly ||
		one.Volumes[1].Source == two.Volumes[1].Source || one.Ports[0].Published == two.Ports[0].Published {
		t.Errorf("%+v\n%+v", one, two)
	}
}

// The objects have no field that Kubernetes does not know, and fit together.
func TestKubernetes(t *testing.T) {
	text, err := os.ReadFile("kubernetes/portico.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var (
		config     corev1.ConfigMap
		deployment appsv1.Deployment
		budget     policyv1.PodDisruptionBudget
		service    corev1.Service
	)
	objects := bytes.Split(text, []byte("\n---\n"))
	into := []any{&config, &deployment, &budget, &service}
	if len(objects) != len(into) {
		t.Fatalf("%d objects", len(objects))
	}
	for i, object := range objects {
		if err := yaml.UnmarshalStrict(object, into[i]); err != nil {
			t.Errorf("object %d: %v", i+1, err)
		}
	}
	for i, kind := range []string{config.Kind, deployment.Kind, budget.Kind, service.Kind} {
		if want := []string{"ConfigMap", "Deployment", "PodDisruptionBudget", "Service"}[i]; kind != want {
			t.Errorf("object %d is a %s, want a %s", i+1, kind, want)
		}
	}
	labels := deployment.Spec.Template.Labels
	for name, selector := range map[string]map[string]string{"Deployment": deployment.Spec.Selector.MatchLabels,
		"PodDisruptionBudget": budget.Spec.Selector.MatchLabels, "Service": service.Spec.Selector} {
		for key, value := range selector {
			if labels[key] != value {
				t.Errorf("%s selects %s=%s, the Pods have %q", name, key, value, labels[key])
			}
		}
	}
	container, ports := deployment.Spec.Template.Spec.Containers[0], map[string]bool{}
	for _, port := range container.Ports {
		ports[port.Name] = true
	}
	for _, port := range service.Spec.Ports {
		if !ports[port.TargetPort.StrVal] {
			t.Errorf("the Service names the port %q", port.TargetPort.StrVal)
		}
	}
	for path, probe := range map[string]*corev1.Probe{"/livez": container.LivenessProbe,
		"/readyz": container.ReadinessProbe} {
		if get := probe.HTTPGet; get == nil || get.Path != path || !ports[get.Port.StrVal] {
			t.Errorf("the probe for %s: %+v", path, probe)
		}
	}
	grace := *deployment.Spec.Template.Spec.TerminationGracePeriodSeconds
	sleep := container.Lifecycle.PreStop.Sleep.Seconds
	if !strings.Contains(config.Data["portico.yaml"], "shutdown_timeout: 5m") || grace < sleep+300+10 {
		t.Errorf("a Pod has %d s to end, of which it sleeps %d s", grace, sleep)
	}
}
