// Record reads Go benchmark results from standard input and prints each figure beside the one in the record, with a
// mark if it is worse by more than a tenth. It gives no verdict: noise on a machine can be as large, so measure a
// marked figure again.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
)

// tolerance is how much worse a figure may be without a mark.
const tolerance = 1.1

// someBytes more per operation are within the variation of a pool.
const someBytes = 256

func main() {
	if err := run(os.Args[1:], os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(2)
	}
}

func run(args []string, in io.Reader, out io.Writer) error {
	flags := flag.NewFlagSet("record", flag.ContinueOnError)
	file := flags.String("file", "bench/recorded.txt", "the record, in the format of Go's benchmarks")
	write := flags.Bool("write", false, "write the results into the record instead")
	if err := flags.Parse(args); err != nil {
		return err
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	now := parse(string(text))
	if len(now) == 0 {
		return fmt.Errorf("no benchmark results:\n%s", text)
	}
	if *write {
		return os.WriteFile(*file, []byte(resultLines(string(text))), 0o644)
	}
	recorded, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	marked := compare(out, parse(string(recorded)), now)
	fmt.Fprintf(out, "\n%d of %d figures are worse than recorded by more than a tenth\n", marked, len(now))
	return nil
}

// key is a figure's place: package, benchmark, unit.
type key struct{ pkg, name, unit string }

func (k key) less(o key) int {
	if c := strings.Compare(k.pkg+" "+k.name, o.pkg+" "+o.name); c != 0 {
		return c
	}
	return strings.Compare(k.unit, o.unit)
}

// parse reads the output of `go test -bench`. A figure is the best of its repetitions: other processes only make it
// worse.
func parse(text string) map[key]float64 {
	figures := make(map[key]float64)
	pkg := ""
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) == 2 && fields[0] == "pkg:" {
			pkg = fields[1]
		}
		if len(fields) < 4 || !strings.HasPrefix(fields[0], "Benchmark") {
			continue
		}
		for i := 2; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			k := key{pkg, fields[0], fields[i+1]}
			if err != nil {
				continue
			}
			if old, seen := figures[k]; !seen || (value > old) == moreIsBetter(k.unit) {
				figures[k] = value
			}
		}
	}
	return figures
}

// moreIsBetter distinguishes rates from costs.
func moreIsBetter(unit string) bool { return strings.HasSuffix(unit, "/s") }

// compare prints all figures and returns how many are marked.
func compare(out io.Writer, recorded, now map[key]float64) (marked int) {
	all := maps.Clone(recorded)
	maps.Copy(all, now)
	fmt.Fprintf(out, "%-62s %14s %14s %7s\n", "", "recorded", "now", "ratio")
	for _, k := range slices.SortedFunc(maps.Keys(all), key.less) {
		name := strings.TrimPrefix(k.pkg, "portico/") + " " + strings.TrimPrefix(k.name, "Benchmark")
		was, known := recorded[k]
		is, measured := now[k]
		switch {
		case !known:
			fmt.Fprintf(out, "%-62s %14s %14.4g %-10s not recorded\n", name, "-", is, k.unit)
		case !measured:
			fmt.Fprintf(out, "%-62s %14.4g %14s %-10s not measured\n", name, was, "-", k.unit)
		default:
			mark := ""
			if worse(k.unit, was, is) {
				marked++
				mark = "  <-- WORSE"
			}
			fmt.Fprintf(out, "%-62s %14.4g %14.4g %-10s %s%s\n", name, was, is, k.unit, ratio(was, is), mark)
		}
	}
	return marked
}

func worse(unit string, was, is float64) bool {
	if unit == "B/op" && is-was < someBytes {
		return false
	}
	if moreIsBetter(unit) {
		was, is = is, was
	}
	return is > was*tolerance
}

func ratio(was, is float64) string {
	if was == 0 {
		return "-"
	}
	return fmt.Sprintf("%.2f", is/was)
}

// resultLines keeps the lines that parse reads and those that describe the machine.
func resultLines(text string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		for _, prefix := range []string{"goos:", "goarch:", "pkg:", "cpu:", "Benchmark"} {
			if strings.HasPrefix(line, prefix) {
				kept.WriteString(line)
				break
			}
		}
	}
	return kept.String()
}
