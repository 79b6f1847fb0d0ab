package protolog

// Rows are whole rows of a log, as its files have them. It is made for JSON.
type Rows struct {
	Text   []byte `json:"text"`
	Number int    `json:"number"`
	Lost   uint64 `json:"lost,omitempty"` // rows that were dropped before these
	Format Format `json:"format"`
}

// Hold keeps rows in memory, as many as find room, until Divert or Resume. It returns when the present file is closed
// and nothing works on older ones, so that another process may have the folder.
func (l *Log) Hold() { l.writer.turn(way{held: true}) }

// Divert hands rows to another process, which has the folder. The log's goroutine calls to with one batch after the
// other, and takes the memory back afterwards. If to fails, this batch and all later ones go to files of this process.
func (l *Log) Divert(to func(Rows) error) { l.writer.turn(way{to: to}) }

// Resume writes rows to files again.
func (l *Log) Resume() { l.writer.turn(way{}) }

// Take writes rows that another process has diverted. It does not wait: if too many wait already, it counts them as
// dropped. The log owns them from now on.
func (l *Log) Take(r Rows) {
	select {
	case l.writer.foreign <- r:
	default:
		l.counts.dropped[dropQueue].Add(uint64(r.Number))
	}
}

// way is where rows go: to files, unless they are held or diverted.
type way struct {
	held bool
	to   func(Rows) error
}

func (w way) toFiles() bool { return !w.held && w.to == nil }

// turned is another way, and what to close when it is taken.
type turned struct {
	way
	ifHeld bool // it is only taken from rows that are held
	done   chan struct{}
}

// turn gives rows another way, and returns when they take it, or when the writer has ended.
func (w *writer) turn(to way) { w.request(turned{way: to}) }

// release ends Hold, so that the last rows are written.
func (w *writer) release() { w.request(turned{ifHeld: true}) }

func (w *writer) request(t turned) {
	t.done = make(chan struct{})
	select {
	case w.turns <- t:
		<-t.done
	case <-w.ended:
	}
}

// take takes another way. What came before goes the way before.
func (w *writer) take(t turned) {
	defer close(t.done)
	if t.ifHeld && !w.way.held {
		return
	}
	if !w.way.held {
		for more := true; more; {
			select {
			case r, open := <-w.in:
				if open {
					w.pass(r)
				}
				more = open
			default:
				more = false
			}
		}
	}
	w.way = t.way
	if !w.way.toFiles() {
		w.finishFile()
		w.packers.Wait()
	}
}

// pass writes or diverts rows.
func (w *writer) pass(r Rows) {
	if w.way.to != nil {
		r.Lost += w.lost
		if w.way.to(r) == nil {
			w.lost = 0
			return
		}
		r.Lost -= w.lost
		w.way = way{}
	}
	w.write(r)
}
