package protolog

import "os"

// Stall has the disk hang from here on until the channel is closed. It comes before the first row.
func (l *Log) Stall(until <-chan struct{}) {
	l.writer.writeAt = func(f *os.File, p []byte, at int64) (int, error) {
		<-until
		return f.WriteAt(p, at)
	}
}
