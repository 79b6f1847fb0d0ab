package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Names lists the figures that were compared.
func (d *Diff) Names() []string {
	names := make([]string, len(d.Figures))
	for i, f := range d.Figures {
		names[i] = f.Name
	}
	return names
}

// Tool reports whether the tool was short of CPU in any round.
func (d *Diff) ToolShort() bool { return d.Short[0]+d.Short[1] > 0 }

// WriteJSON writes the difference for machines.
func (d *Diff) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(d)
}

// WriteTable writes the difference for people.
func (d *Diff) WriteTable(w io.Writer) error {
	var b strings.Builder
	of := fmt.Sprintf("%d rounds of A, %d of B", d.Rounds[0], d.Rounds[1])
	if d.Parts {
		of = fmt.Sprintf("one run of each, cut into %d parts; differences between runs are not in the intervals: "+
			"take several rounds", d.Rounds[0])
	}
	fmt.Fprintf(&b,
		"%s\n%s %% confidence for all judged figures together (Mann-Whitney, Hodges-Lehmann), tolerance %s %%\n\n",
		of, short(100*d.Confidence), short(100*d.Tolerance))
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "figure\tA\tB\tB to A\tinterval\tverdict\t")
	for _, f := range d.Figures {
		interval, verdict := fmt.Sprintf("%.3f to %.3f", f.Low, f.High), f.Verdict
		if f.Verdict == verdictFew {
			interval = ""
		}
		if !f.Judged {
			verdict = "(" + verdict + ")"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%.3f x\t%s\t%s\t\n", f.Name, short(f.A), short(f.B), f.Ratio, interval, verdict)
	}
	t.Flush() // into memory
	b.WriteString("in brackets: shown, not judged\n" +
		"B to A is the median of all ratios of a round of B to one of A, so it may differ from B divided by A\n\n")
	fmt.Fprintf(&b, "operations not done: A %s, B %s; errors: A %d, B %d\n",
		percentText(d.NotDone[0]), percentText(d.NotDone[1]), d.Errors[0], d.Errors[1])
	for i, name := range []string{"A", "B"} {
		if d.Short[i] > 0 {
			fmt.Fprintf(&b, "the tool was short of CPU in %d rounds of %s: the latencies include its own delays\n",
				d.Short[i], name)
		}
	}
	for _, note := range d.Notes {
		fmt.Fprintf(&b, "note: %s\n", note)
	}
	fmt.Fprintf(&b, "verdict: %s\n", d.verdict())
	_, err := io.WriteString(w, b.String())
	return err
}

func (d *Diff) verdict() string {
	switch {
	case d.Regression:
		return "REGRESSION"
	case d.Undecided:
		return "too few rounds to judge: take at least 5 of each"
	}
	return "no regression is shown"
}

func percentText(part float64) string { return fmt.Sprintf("%.3g %%", 100*part) }
