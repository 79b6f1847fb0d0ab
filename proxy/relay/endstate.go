package relay

// readState is how far an end has been read. readAfter has the allowed transitions: they only lead towards readFailed,
// except between readQuiet and readMore.
type readState uint8

const (
	readQuiet  readState = iota // nothing is there; the driver learns of what comes
	readMore                    // there may be more, which epoll does not report again
	readLast                    // the same, and the peer's end of stream follows
	readCut                     // the same, and a failure of the connection follows
	readEOF                     // the peer's last byte is read
	readFailed                  // the connection has failed
	numReadStates
)

// readEvent is what a driver learns by reading, or from epoll.
type readEvent uint8

const (
	readReported readEvent = iota // epoll reports bytes
	readClosing                   // epoll reports the peer's end of stream
	readBreaking                  // epoll reports that the connection has failed
	readTookAll                   // a read has taken all bytes there were
	readNothing                   // a read has found nothing
	readEnds                      // a read has found the end of the stream
	readBreaks                    // a read has failed
	numReadEvents
)

// readAfter has the state that follows a state, by event. What epoll reports about the end stands behind bytes that
// may still be read, so a read that finds nothing there has lost them.
var readAfter = [numReadEvents][numReadStates]readState{
	readReported: {readMore, readMore, readLast, readCut, readEOF, readFailed},
	readClosing:  {readLast, readLast, readLast, readCut, readEOF, readFailed},
	readBreaking: {readCut, readCut, readCut, readCut, readEOF, readFailed},
	readTookAll:  {readQuiet, readQuiet, readEOF, readCut, readEOF, readFailed},
	readNothing:  {readQuiet, readQuiet, readFailed, readFailed, readEOF, readFailed},
	readEnds:     {readEOF, readEOF, readEOF, readEOF, readEOF, readFailed},
	readBreaks:   {readFailed, readFailed, readFailed, readFailed, readFailed, readFailed},
}

// on moves to the state that follows an event.
func (s *readState) on(e readEvent) { *s = readAfter[e][*s] }

// ended says whether nothing more can be read.
func (s readState) ended() bool { return s >= readEOF }

// hungUp says whether the peer has ended its stream or the connection has failed, whether that is read yet or not.
func (s readState) hungUp() bool { return s >= readLast }

// ready says whether the next read may find something of which epoll does not report.
func (s readState) ready() bool { return s >= readMore && s <= readCut }

// writeState is how far our direction of an end has come. writeAfter has the allowed transitions.
type writeState uint8

const (
	writeOpen     writeState = iota
	writeEnding              // nothing more is written: TLS has said close_notify
	writeShutting            // our direction is shut down behind the bytes that are still unsent
	writeShut                // it is shut down
	writeFailed              // writing has failed; what the peer sent may still be read
	numWriteStates
)

// writeEvent is what a driver does with our direction, or learns of it.
type writeEvent uint8

const (
	writeLast   writeEvent = iota // the last byte is written
	writeShuts                    // our direction is to be shut down
	writeDone                     // it is shut down
	writeBreaks                   // writing has failed
	numWriteEvents
)

// writeAfter has the state that follows a state, by event. A failed direction is shut down too: the peer may not know
// that it has failed.
var writeAfter = [numWriteEvents][numWriteStates]writeState{
	writeLast:   {writeEnding, writeEnding, writeShutting, writeShut, writeFailed},
	writeShuts:  {writeShutting, writeShutting, writeShutting, writeShut, writeShutting},
	writeDone:   {writeShut, writeShut, writeShut, writeShut, writeShut},
	writeBreaks: {writeFailed, writeFailed, writeFailed, writeShut, writeFailed},
}

// on moves to the state that follows an event.
func (s *writeState) on(e writeEvent) { *s = writeAfter[e][*s] }

// over says whether bytes cannot be sent any more.
func (s writeState) over() bool { return s >= writeShut }

// shuts says whether the peer is told, or is about to be told, that nothing more comes.
func (s writeState) shuts() bool { return s == writeShutting || s == writeShut }
