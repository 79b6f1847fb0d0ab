package bench

import (
	"fmt"
	"html"
	"html/template"
	"math"
	"strings"
)

// Measures of a plot, in the units of its view box.
const (
	plotWidth, plotHeight           = 640.0, 280.0
	plotLeft, plotRight             = 64.0, 14.0
	plotTop, plotBottom             = 12.0, 30.0
	plotInnerWidth, plotInnerHeight = plotWidth - plotLeft - plotRight, plotHeight - plotTop - plotBottom
)

// plot is a diagram with axes. Its colours are classes of the page: s0, s1 and so on.
type plot struct {
	Title, Note string
	Lines       []plotLine
	x, y        axis
}

// plotLine is one line, or bars on the x axis. Where y is not a number, the line has a gap.
type plotLine struct {
	Name  string
	Class string
	bars  bool
	dots  bool // points that no line connects
	area  bool
	steps bool // a value holds from the one before: where nothing is known in between, the greater is shown
	x, y  []float64
}

// axis maps values to positions.
type axis struct {
	low, high float64
	log       bool
	ticks     []float64
	text      func(float64) string
}

// fraction returns where a value is on the axis, between 0 and 1.
func (a axis) fraction(v float64) float64 {
	low, high := a.low, a.high
	if a.log {
		low, high, v = math.Log10(low), math.Log10(high), math.Log10(max(v, a.low))
	}
	return min(1, max(0, (v-low)/(high-low)))
}

// linearAxis begins at low and ends at a round number at or above high.
func linearAxis(low, high float64, round bool, text func(float64) string) axis {
	if high <= low {
		high = low + 1
	}
	step := math.Pow(10, math.Floor(math.Log10((high-low)/4)))
	for _, f := range []float64{1, 2, 5, 10} {
		if (high-low)/(f*step) <= 6 {
			step *= f
			break
		}
	}
	a := axis{low: low, high: high, text: text}
	if round {
		a.high = math.Ceil(high/step) * step
	}
	for n := math.Ceil(low / step); n*step <= a.high*(1+1e-9); n++ {
		a.ticks = append(a.ticks, n*step+0) // + 0 makes 0 of -0
	}
	return a
}

// logAxis spans whole powers of ten.
func logAxis(low, high float64, text func(float64) string) axis {
	low, high = math.Floor(math.Log10(max(low, 1))), math.Ceil(math.Log10(max(high, 10)))
	if high == low {
		high++
	}
	a := axis{low: math.Pow(10, low), high: math.Pow(10, high), log: true, text: text}
	for e := low; e <= high; e++ {
		a.ticks = append(a.ticks, math.Pow(10, e))
	}
	return a
}

func (p *plot) px(v float64) float64 { return plotLeft + p.x.fraction(v)*plotInnerWidth }
func (p *plot) py(v float64) float64 { return plotTop + (1-p.y.fraction(v))*plotInnerHeight }

// SVG draws the plot.
func (p *plot) SVG() template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 %g %g" role="img" aria-label="%s">`, plotWidth, plotHeight,
		html.EscapeString(p.Title))
	for _, v := range p.y.ticks {
		y := p.py(v)
		fmt.Fprintf(&b, `<line class="grid" x1="%g" x2="%g" y1="%.1f" y2="%.1f"/>`, plotLeft,
			plotWidth-plotRight, y, y)
		fmt.Fprintf(&b, `<text class="tick" x="%g" y="%.1f" text-anchor="end">%s</text>`, plotLeft-8, y+4,
			html.EscapeString(p.y.text(v)))
	}
	for _, v := range p.x.ticks {
		x := p.px(v)
		fmt.Fprintf(&b, `<line class="grid faint" x1="%.1f" x2="%.1f" y1="%g" y2="%g"/>`, x, x, plotTop,
			plotHeight-plotBottom)
		fmt.Fprintf(&b, `<text class="tick" x="%.1f" y="%g" text-anchor="middle">%s</text>`, x,
			plotHeight-plotBottom+18, html.EscapeString(p.x.text(v)))
	}
	for _, l := range p.Lines {
		p.draw(&b, l)
	}
	p.hints(&b)
	b.WriteString(`</svg>`)
	return template.HTML(b.String()) // names were escaped
}

func (p *plot) draw(b *strings.Builder, l plotLine) {
	if len(l.x) == 0 {
		return
	}
	floor := plotHeight - plotBottom
	if l.bars {
		width := max(1, plotInnerWidth/float64(len(l.x))-1)
		for i := range l.x {
			if l.y[i] > 0 {
				fmt.Fprintf(b, `<rect class="%s bar" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`,
					l.Class, p.px(l.x[i])-width/2, p.py(l.y[i]), width, floor-p.py(l.y[i]))
			}
		}
		return
	}
	if l.dots {
		for i := range l.x {
			fmt.Fprintf(b, `<circle class="%s bar" cx="%.1f" cy="%.1f" r="4"/>`, l.Class, p.px(l.x[i]), p.py(l.y[i]))
		}
		return
	}
	for _, run := range l.unbroken() {
		path := p.path(run)
		if l.area {
			fmt.Fprintf(b, `<path class="%s area" d="%sL%.1f %.1fL%.1f %.1fZ"/>`, l.Class, path,
				p.px(run.x[len(run.x)-1]), floor, p.px(run.x[0]), floor)
		}
		fmt.Fprintf(b, `<path class="%s line" d="%s"/>`, l.Class, path)
	}
}

// path returns the line as an SVG path. A single point is a short stroke.
func (p *plot) path(l plotLine) string {
	var path strings.Builder
	for i := range l.x {
		x, y := p.px(l.x[i]), p.py(l.y[i])
		switch {
		case i == 0:
			fmt.Fprintf(&path, "M%.1f %.1f", x, y)
			if len(l.x) == 1 {
				path.WriteString("h1")
			}
		case l.steps:
			fmt.Fprintf(&path, "V%.1fH%.1f", y, x)
		default:
			fmt.Fprintf(&path, "L%.1f %.1f", x, y)
		}
	}
	return path.String()
}

// unbroken splits the line at its gaps.
func (l plotLine) unbroken() (runs []plotLine) {
	start := 0
	for i := 0; i <= len(l.y); i++ {
		if i < len(l.y) && !math.IsNaN(l.y[i]) {
			continue
		}
		if i > start {
			run := l
			run.x, run.y = l.x[start:i], l.y[start:i]
			runs = append(runs, run)
		}
		start = i + 1
	}
	return runs
}

// hints adds strips over the plot that show the values under the pointer.
func (p *plot) hints(b *strings.Builder) {
	var longest plotLine
	for _, l := range p.Lines {
		if len(l.x) > len(longest.x) {
			longest = l
		}
	}
	for i, v := range longest.x {
		left, right := plotLeft, plotWidth-plotRight
		if i > 0 {
			left = (p.px(longest.x[i-1]) + p.px(v)) / 2
		}
		if i+1 < len(longest.x) {
			right = (p.px(v) + p.px(longest.x[i+1])) / 2
		}
		fmt.Fprintf(b, `<rect class="hint" x="%.1f" y="%g" width="%.1f" height="%g"><title>%s`,
			left, plotTop, max(0, right-left), plotInnerHeight, html.EscapeString(p.x.text(v)))
		for _, l := range p.Lines {
			if i >= len(l.x) || l.x[i] != v {
				continue
			}
			text := "nothing answered"
			if !math.IsNaN(l.y[i]) {
				text = p.y.text(l.y[i])
			}
			fmt.Fprintf(b, "\n%s: %s", html.EscapeString(l.Name), html.EscapeString(text))
		}
		b.WriteString(`</title></rect>`)
	}
}
