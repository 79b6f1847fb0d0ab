package relay

// readState is how far an end has been read. readAfter has the allowed transitions: they only lead towards readFailed,
// except between readEmpty and readMore.
type readState uint8

const (
	readEmpty   readState = iota // no bytes are there; the driver is told when some come
	readMore                     // there may be more bytes, which epoll does not report again
	readToEOF                    // the same; the peer's end of stream follows them
	readToError                  // the same; a failure of the connection follows them
	readEOF                      // the peer's last byte is read
	readFailed                   // the connection has failed
	numReadStates
)

// readEvent is what a driver learns by reading, or from epoll.
type readEvent uint8

const (
	eventBytes       readEvent = iota // epoll reports bytes
	eventClose                        // epoll reports the peer's end of stream
	eventFailure                      // epoll reports that the connection has failed
	eventReadAll                      // a read has taken all bytes there were
	eventReadNothing                  // a read has found nothing
	eventReadEOF                      // a read has found the end of the stream
	eventReadError                    // a read has failed
	numReadEvents
)

// readAfter has the state that follows a state, by event. When epoll reports the end of the connection, unread bytes
// may stand in front of it. A read that finds none of them has lost them.
var readAfter = [numReadEvents][numReadStates]readState{
	eventBytes:       {readMore, readMore, readToEOF, readToError, readEOF, readFailed},
	eventClose:       {readToEOF, readToEOF, readToEOF, readToError, readEOF, readFailed},
	eventFailure:     {readToError, readToError, readToError, readToError, readEOF, readFailed},
	eventReadAll:     {readEmpty, readEmpty, readEOF, readToError, readEOF, readFailed},
	eventReadNothing: {readEmpty, readEmpty, readFailed, readFailed, readEOF, readFailed},
	eventReadEOF:     {readEOF, readEOF, readEOF, readEOF, readEOF, readFailed},
	eventReadError:   {readFailed, readFailed, readFailed, readFailed, readFailed, readFailed},
}

// advance moves to the state that follows an event.
func (s *readState) advance(e readEvent) { *s = readAfter[e][*s] }

// ended says whether nothing more can be read.
func (s readState) ended() bool { return s >= readEOF }

// hungUp says whether the peer has ended its stream or the connection has failed, whether that is read yet or not.
func (s readState) hungUp() bool { return s >= readToEOF }

// ready says whether the next read may find bytes or an end that epoll does not report again.
func (s readState) ready() bool { return s >= readMore && s <= readToError }

// writeState is the state of our sending direction. writeAfter has the allowed transitions.
type writeState uint8

const (
	writeOpen        writeState = iota
	writeEnding                 // nothing more is written; TLS has sent close_notify
	writeHalfClosing            // half-closed once the pending bytes are sent
	writeHalfClosed             // half-closed
	writeFailed                 // writing has failed; what the peer sent may still be read
	numWriteStates
)

// writeEvent is what a driver does with our sending direction, or learns of it.
type writeEvent uint8

const (
	eventLastWrite  writeEvent = iota // the last byte is written
	eventHalfClose                    // a half-close is due once the pending bytes are sent
	eventHalfClosed                   // the half-close is done
	eventWriteError                   // writing has failed
	numWriteEvents
)

// writeAfter has the state that follows a state, by event. A failed direction is half-closed too, because the peer may
// not know that it has failed.
var writeAfter = [numWriteEvents][numWriteStates]writeState{
	eventLastWrite:  {writeEnding, writeEnding, writeHalfClosing, writeHalfClosed, writeFailed},
	eventHalfClose:  {writeHalfClosing, writeHalfClosing, writeHalfClosing, writeHalfClosed, writeHalfClosing},
	eventHalfClosed: {writeHalfClosed, writeHalfClosed, writeHalfClosed, writeHalfClosed, writeHalfClosed},
	eventWriteError: {writeFailed, writeFailed, writeFailed, writeHalfClosed, writeFailed},
}

// advance moves to the state that follows an event.
func (s *writeState) advance(e writeEvent) { *s = writeAfter[e][*s] }

// unusable says whether no more bytes can be sent.
func (s writeState) unusable() bool { return s >= writeHalfClosed }

// halfCloses says whether a half-close is done or due.
func (s writeState) halfCloses() bool { return s == writeHalfClosing || s == writeHalfClosed }
