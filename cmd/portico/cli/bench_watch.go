package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/spf13/cobra"

	"portico/backend/secret"
	"portico/bench"
	"portico/bench/exporter"
	"portico/bench/live"
	"portico/cmd/portico/release"
)

// watching holds the flags that say how to follow runs.
type watching struct {
	live     bool
	metrics  string // address
	hdr      string // file name
	log      *resultFile
	exporter *exporter.Exporter
}

func watchFlags(cmd *cobra.Command) *watching {
	w := &watching{}
	flags := cmd.Flags()
	flags.BoolVar(&w.live, "live", false,
		"show the run on the whole screen; without a terminal, print a line each second")
	flags.StringVar(&w.metrics, "metrics", "",
		"serve metrics to Prometheus during the run, on this `address`, such as 127.0.0.1:9100")
	flags.StringVar(&w.hdr, "hdr", "", "also write a histogram log for the tools of HdrHistogram to this `file`")
	return w
}

// serveMetrics answers scrapes until stop is called.
func (w *watching) serveMetrics(ctx context.Context, errOut io.Writer) (stop func(), err error) {
	if w.metrics == "" {
		return func() {}, nil
	}
	if err := secret.CheckHostPort(w.metrics); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	var config net.ListenConfig
	ln, err := config.Listen(ctx, "tcp", w.metrics)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	if addr := ln.Addr().(*net.TCPAddr); !addr.IP.IsLoopback() {
		fmt.Fprintf(errOut,
			"warning: other machines can read the metrics on %s; --metrics 127.0.0.1:%d prevents that\n",
			addr, addr.Port)
	}
	w.exporter = exporter.New()
	return w.exporter.Serve(ln), nil
}

// follow sends the intervals and the progress of one run to what the flags ask for. stop ends that. It may be called
// again.
func (w *watching) follow(cmd *cobra.Command, o *bench.Options, end func()) (stop func() error) {
	f := &followers{}
	w.followInLog(f)
	if w.exporter != nil {
		f.intervals, f.progress = append(f.intervals, w.exporter.Interval), append(f.progress, w.exporter.Progress)
	}
	w.followOnTerminal(f, cmd, o, end)
	o.Intervals, o.Progress = f.interval, f.report
	return func() error {
		err := f.close()
		clearLine(cmd.ErrOrStderr())
		return err
	}
}

// followInLog adds the histogram log of --hdr.
func (w *watching) followInLog(to *followers) {
	if w.log == nil {
		return
	}
	log := bench.NewIntervalLog(w.log.to, time.Now(), "portico bench "+release.Version()+
		", latencies in nanoseconds by command")
	to.intervals = append(to.intervals, log.Write)
	to.closers = append(to.closers, func() error {
		return w.log.write(func(io.Writer) error { return log.Err() })
	})
}

// followOnTerminal adds the screen or the lines of --live, or one line on a terminal. A person at the screen may call
// end.
func (w *watching) followOnTerminal(to *followers, cmd *cobra.Command, o *bench.Options, end func()) {
	errOut := cmd.ErrOrStderr()
	switch {
	case w.live && onScreen(cmd):
		view := live.Start(live.Options{
			In: os.Stdin, Out: errOut, ASCII: !utf8Terminal(), End: end,
			Title: fmt.Sprintf("portico bench: %s against %s, %d sessions", o.Profile.Name, targetNames(o),
				o.Sessions),
		})
		to.intervals, to.progress = append(to.intervals, view.Interval), append(to.progress, view.Progress)
		to.closers = append(to.closers, func() error { view.Close(); return nil })
	case w.live:
		to.progress = append(to.progress, progressLines(errOut))
	case onTerminal(errOut):
		to.progress = append(to.progress, progressLine(errOut))
	}
}

// followers get the intervals and the progress of a run.
type followers struct {
	intervals []func(bench.Interval)
	progress  []func(bench.Progress)
	closers   []func() error
}

func (f *followers) interval(i bench.Interval) {
	for _, follow := range f.intervals {
		follow(i)
	}
}

func (f *followers) report(p bench.Progress) {
	for _, follow := range f.progress {
		follow(p)
	}
}

// close closes the followers, the last first. It may be called again.
func (f *followers) close() error {
	var errs []error
	for _, c := range slices.Backward(f.closers) {
		errs = append(errs, c())
	}
	f.closers = nil
	return errors.Join(errs...)
}

// onScreen reports whether standard error is a terminal that can show a screen, and standard input one that reads
// keys.
func onScreen(cmd *cobra.Command) bool {
	term := os.Getenv("TERM")
	return onTerminal(cmd.ErrOrStderr()) && onTerminal(os.Stdin) && term != "" && term != "dumb"
}

// onTerminal reports whether w is a terminal.
func onTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && isatty.IsTerminal(f.Fd())
}

// utf8Terminal reports whether the locale uses UTF-8.
func utf8Terminal() bool {
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} {
		if value := strings.ToUpper(os.Getenv(name)); value != "" {
			return strings.Contains(value, "UTF-8") || strings.Contains(value, "UTF8")
		}
	}
	return false
}

func targetNames(o *bench.Options) string {
	var names []string
	for _, t := range o.Targets {
		names = append(names, t.Name)
	}
	return strings.Join(names, ", ")
}

// progressLine shows the progress of a run in one line, which it overwrites.
func progressLine(w io.Writer) func(bench.Progress) {
	return func(p bench.Progress) { fmt.Fprintf(w, "\r%s\x1b[K", progressText(p)) }
}

// progressLines shows the progress of a run, with a line each second.
func progressLines(w io.Writer) func(bench.Progress) {
	last := time.Duration(-1)
	return func(p bench.Progress) {
		if second := p.Elapsed.Truncate(time.Second); second != last {
			last = second
			fmt.Fprintln(w, progressText(p))
		}
	}
}

func progressText(p bench.Progress) string {
	what := "signing in"
	switch {
	case p.WarmingUp:
		what = "warming up, " + p.Left.Round(time.Second).String() + " left"
	case p.Measuring:
		what = p.Left.Round(time.Second).String() + " left"
	}
	line := fmt.Sprintf("%s: %d sessions, %.0f commands/s, p50 %v, p99 %v, %d errors", what, p.Sessions, p.PerSecond,
		p.P50, p.P99, p.Errors)
	if p.Behind > 0 {
		line += fmt.Sprintf(", %d behind", p.Behind)
	}
	return line
}

func clearLine(w io.Writer) {
	if onTerminal(w) {
		io.WriteString(w, "\r\x1b[K")
	}
}
