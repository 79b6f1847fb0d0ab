package grafana

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	grafanatable "github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

var update = flag.Bool("update-dashboard", false, "write portico.json")

// The file that people import is what the table of panels says.
func TestDashboard(t *testing.T) {
	now, err := JSON()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("portico.json", now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if file, err := os.ReadFile("portico.json"); err != nil || !bytes.Equal(now, file) {
		t.Errorf("portico.json is not what panels.go says, `make dashboard` writes it: %v", err)
	}
}

// Grafana's own types read the file without a field that is missing, unknown or of another type. Panels have different
// numbers and do not overlap, and queries use no variable that the dashboard lacks.
func TestGrafanaReadsTheDashboard(t *testing.T) {
	text, err := os.ReadFile("portico.json")
	if err != nil {
		t.Fatal(err)
	}
	known := cog.NewRuntime()
	known.RegisterPanelcfgVariant(timeseries.VariantConfig())
	known.RegisterPanelcfgVariant(stat.VariantConfig())
	known.RegisterPanelcfgVariant(grafanatable.VariantConfig())
	known.RegisterDataqueryVariant(prometheus.VariantConfig())
	//lint:ignore SA1019 its successor is only for Grafana 12 and newer
	var strict, board dashboard.Dashboard
	// the library returns an empty list of errors for none, and reads nothing then
	if err := strict.UnmarshalJSONStrict(text); err != nil && err.Error() != "" {
		t.Fatal(err)
	}
	if err := errors.Join(json.Unmarshal(text, &board), board.Validate()); err != nil {
		t.Fatal(err)
	}

	variables := map[string]bool{"$__rate_interval": true}
	for _, v := range board.Templating.List {
		variables["$"+v.Name] = true
	}
	ids, places, panels := make(map[uint32]bool), make(map[[2]uint32]string), 0
	for _, p := range board.Panels {
		if p.RowPanel != nil {
			unused(t, ids, p.RowPanel.Id)
			continue
		}
		panels++
		title := *p.Panel.Title
		unused(t, ids, *p.Panel.Id)
		at := p.Panel.GridPos
		if at.X+at.W > 24 {
			t.Errorf("%s: does not fit into the grid", title)
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other := places[[2]uint32{x, y}]; other != "" {
					t.Fatalf("%s lies on %s", title, other)
				}
				places[[2]uint32{x, y}] = title
			}
		}
		for _, target := range p.Panel.Targets {
			expr := target.(*prometheus.Dataquery).Expr
			for _, name := range regexp.MustCompile(`\$\w+`).FindAllString(expr, -1) {
				if !variables[name] {
					t.Errorf("%s: there is no variable %s", title, name)
				}
			}
			if !strings.Contains(expr, "$node") {
				t.Errorf("%s: shows all nodes whatever is chosen: %s", title, expr)
			}
		}
	}
	if panels < 40 {
		t.Errorf("%d panels", panels)
	}
}

func unused(t *testing.T, ids map[uint32]bool, id uint32) {
	t.Helper()
	if ids[id] {
		t.Errorf("two panels have the number %d", id)
	}
	ids[id] = true
}
