// Package live shows a run of package bench on a terminal while it goes on.
package live

import (
	"io"
	"sync"

	tea "charm.land/bubbletea/v2"

	"portico/bench"
)

// View is a full screen that shows one run. Its methods may be called from any goroutine.
type View struct {
	program  *tea.Program
	interval bench.Interval // of the step under way; the run's own goroutine's
	work     sync.WaitGroup
}

// Options say where and what a view shows.
type Options struct {
	In    io.Reader // keys
	Out   io.Writer // the terminal
	Title string
	ASCII bool   // the terminal's characters are not those of UTF-8
	End   func() // called when the person ends the run early
}

// Start takes the terminal until Close.
func Start(o Options, more ...tea.ProgramOption) *View {
	options := append([]tea.ProgramOption{tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithoutSignalHandler()},
		more...)
	v := &View{program: tea.NewProgram(newModel(o), options...)}
	v.work.Go(func() { v.program.Run() }) // without a screen the run goes on, and its report follows
	return v
}

// step is what one step of the run brings.
type step struct {
	interval bench.Interval
	progress bench.Progress
}

// Interval takes what a step has counted. It comes before Progress.
func (v *View) Interval(i bench.Interval) { v.interval = i }

// Progress takes the state of the run.
func (v *View) Progress(p bench.Progress) { v.program.Send(step{v.interval, p}) }

// Close gives the terminal back.
func (v *View) Close() {
	v.program.Quit()
	v.work.Wait()
}
