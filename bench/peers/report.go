//go:build unix

package peers

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Table writes all rows as a Markdown table.
func (r *Result) Table() string {
	var out strings.Builder
	fmt.Fprintf(&out, "| row | unit | %s | ratio to the best | bar | |\n", strings.Join(r.peers, " | "))
	fmt.Fprintf(&out, "|---|---%s|---|---|---|\n", strings.Repeat("|---:", len(r.peers)))
	for _, row := range r.rows {
		fmt.Fprintf(&out, "| %s | %s ", row.name, row.unit)
		for _, name := range r.peers {
			cell := "-"
			if values := row.values[name]; len(values) > 0 {
				cell = spreadOf(values).String()
				if row.unranked[name] {
					cell = "(" + cell + ")"
				}
			}
			fmt.Fprintf(&out, "| %s ", cell)
		}
		fmt.Fprintf(&out, "| %s | %s | %s |\n", ratioCell(row), barCell(row), verdict(row))
	}
	for _, row := range r.rows {
		if row.note != "" {
			fmt.Fprintf(&out, "\n- %s: %s", row.name, row.note)
		}
	}
	return out.String() + "\n"
}

// ratioCell names the best peer and Portico's ratio to it, also where the bar is Portico's own figure.
func ratioCell(r *row) string {
	best := r.best()
	if best == "" {
		return "-"
	}
	ratio := *r
	if r.against == absolute {
		ratio.against = bestOfAll
	}
	return ratio.judged().String() + " x " + best
}

func barCell(r *row) string {
	if r.bar == 0 {
		return "-"
	}
	return figure(r.bar)
}

// verdict is empty for a row without a bar.
func verdict(r *row) string {
	switch {
	case r.bar == 0:
		return ""
	case r.met():
		return "met"
	}
	return "**short**"
}

// Text is the table with all that is to be known about it.
func (r *Result) Text() string {
	return r.Table() + "\n" + strings.Join(r.about, "\n") + "\n"
}

// marks stand around what [Result.UpdateFile] replaces: each release has a place of its own.
func marks(release string) (begin, end string) {
	return "<!-- figures beside the proxies of " + release +
		": written by make bench-peers -->", "<!-- end of these figures -->"
}

// UpdateFile replaces the figures in a document, between the marks of the release that the other proxies come from.
func (r *Result) UpdateFile(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	updated, err := between(string(text), r.peersOf, r.Text())
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(updated), 0o644)
}

func between(document, release, figures string) (string, error) {
	begin, end := marks(release)
	before, rest, ok := strings.Cut(document, begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("there is no place for figures of %s: %s", release, begin)
	}
	return before + begin + "\n\n" + figures + "\n" + end + after, nil
}

// inOrder writes what is known of each peer, sorted by name.
func inOrder(of map[string]string) string {
	var parts []string
	for name, text := range of {
		parts = append(parts, name+" "+text)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}
