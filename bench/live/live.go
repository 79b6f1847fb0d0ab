// Package live shows a run of package bench on a terminal during the run.
package live

import (
	"io"
	"sync"

	tea "charm.land/bubbletea/v2"

	"portico/bench"
)

// View is a full screen that shows one run. It is safe for concurrent use.
type View struct {
	program  *tea.Program
	interval bench.Interval // of the step under way; the run's own goroutine's
	work     sync.WaitGroup
}

// Options are the terminal and the title of a view.
type Options struct {
	In    io.Reader // keys
	Out   io.Writer // the terminal
	Title string
	ASCII bool   // the terminal does not use UTF-8
	End   func() // called when the person ends the run early, and again each time they ask for it once more
}

// Start takes over the terminal until Close.
func Start(o Options, more ...tea.ProgramOption) *View {
	options := append([]tea.ProgramOption{tea.WithInput(o.In), tea.WithOutput(o.Out), tea.WithoutSignalHandler()},
		more...)
	v := &View{program: tea.NewProgram(newModel(o), options...)}
	v.work.Go(func() { v.program.Run() }) // without a screen the run goes on, and its report follows
	return v
}

// step holds the data of one step of the run.
type step struct {
	interval bench.Interval
	progress bench.Progress
}

// Interval adds the counts of a step. It is called before Progress.
func (v *View) Interval(i bench.Interval) { v.interval = i }

// Progress sets the state of the run.
func (v *View) Progress(p bench.Progress) { v.program.Send(step{v.interval, p}) }

// Close restores the terminal.
func (v *View) Close() {
	v.program.Quit()
	v.work.Wait()
}
