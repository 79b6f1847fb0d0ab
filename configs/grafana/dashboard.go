// Package grafana builds Portico's dashboard. panels.go says what it shows; portico.json is the file that people import
// into Grafana. `make dashboard` writes it. No part of Portico uses this package.
package grafana

import (
	"cmp"
	"encoding/json"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	grafanatable "github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
	"github.com/grafana/grafana-foundation-sdk/go/units"
)

// The size of panels, in the units of Grafana's grid, which is 24 wide.
const (
	lineWidth, lineHeight     = 8, 7
	numberWidth, numberHeight = 3, 4
	tableWidth, tableHeight   = 24, 5
)

// source is the data source that the reader of the dashboard has chosen.
var source = common.DataSourceRef{Type: new("prometheus"), Uid: new("${datasource}")}

// JSON returns the dashboard as Grafana imports it.
func JSON() ([]byte, error) {
	//lint:ignore SA1019 its successor is only for Grafana 12 and newer
	board := dashboard.NewDashboardBuilder("Portico").Uid("portico-imap").Tags([]string{"portico", "imap"}).
		Description("IMAP sessions, mailbox servers, sign-ins and health of Portico.").
		Time("now-3h", "now").Refresh("30s").Tooltip(dashboard.DashboardCursorSyncCrosshair).
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		WithVariable(variable("node", "Node", "label_values(portico_build_info, instance)")).
		WithVariable(variable("server", "Mailbox server",
			`label_values(portico_server_breaker_open{instance=~"$node"}, server)`))
	id := uint32(0)
	for _, r := range rows {
		id++
		board.WithRow(dashboard.NewRowBuilder(r.title).Id(id))
		for _, p := range r.panels {
			id++
			board.WithPanel(p.build(id))
		}
	}
	built, err := board.Build()
	if err != nil {
		return nil, err
	}
	text, err := json.MarshalIndent(built, "", "\t")
	return append(text, '\n'), err
}

// variable is a choice at the top of the dashboard, by default of all values.
func variable(name, label, values string) cog.Builder[dashboard.VariableModel] {
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(source).
		Query(dashboard.StringOrMap{String: &values}).Definition(values).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortNaturalAsc).
		Multi(true).IncludeAll(true).AllValue(".*").
		Current(dashboard.VariableOption{Text: dashboard.StringOrArrayOfString{String: new("All")},
			Value: dashboard.StringOrArrayOfString{String: new("$__all")}})
}

// build makes the panel of Grafana.
func (p panel) build(id uint32) cog.Builder[dashboard.Panel] {
	unit := cmp.Or(p.unit, units.Short)
	switch p.shape {
	case number:
		return stat.NewPanelBuilder().Id(id).Title(p.title).Description(p.help).Unit(unit).Datasource(source).
			Span(numberWidth).Height(numberHeight).Targets(p.targets()).Thresholds(p.thresholds()).
			GraphMode(common.BigValueGraphModeArea).ColorMode(common.BigValueColorModeValue).
			ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	case table:
		return grafanatable.NewPanelBuilder().Id(id).Title(p.title).Description(p.help).Datasource(source).
			Span(tableWidth).Height(tableHeight).Targets(p.targets()).
			Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{}))
	default:
		return timeseries.NewPanelBuilder().Id(id).Title(p.title).Description(p.help).Unit(unit).Datasource(source).
			Span(lineWidth).Height(lineHeight).Targets(p.targets()).Min(0).
			FillOpacity(10).ShowPoints(common.VisibilityModeNever).
			Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).
				Sort(common.SortOrderDescending))
	}
}

// targets are the queries of a panel.
func (p panel) targets() (all []cog.Builder[variants.Dataquery]) {
	for i, q := range p.queries {
		target := prometheus.NewDataqueryBuilder().RefId(string(rune('A' + i))).Datasource(source).
			Expr(selectors.Replace(q.expr))
		if q.legend != "" {
			target.LegendFormat(q.legend)
		}
		switch p.shape {
		case table:
			target.Instant().Format(prometheus.PromQueryFormatTable)
		default:
			target.Range()
		}
		all = append(all, target)
	}
	return all
}

// thresholds are the colours of a number.
func (p panel) thresholds() cog.Builder[dashboard.ThresholdsConfig] {
	steps := []dashboard.Threshold{{Color: "green"}}
	switch {
	case p.bad > 0:
		steps = append(steps, dashboard.Threshold{Value: &p.bad, Color: "red"})
	case p.good > 0:
		steps = []dashboard.Threshold{{Color: "red"}, {Value: &p.good, Color: "green"}}
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}
