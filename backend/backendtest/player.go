package backendtest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// maxScriptLine is the longest line of a client, in bytes.
const maxScriptLine = 1 << 20

// lastRead is how long the end of a script waits for the client to close.
const lastRead = 10 * time.Second

// errStop ends a script early without fault.
var errStop = errors.New("script is over")

// player follows one script on one connection; it belongs to one goroutine.
type player struct {
	server *Scripted
	number int
	raw    net.Conn
	conn   net.Conn // raw, or TLS on it
	br     *bufio.Reader
	words  words
	split  bool // the next bytes go out one by one
}

func newPlayer(s *Scripted, conn net.Conn, number int) *player {
	return &player{server: s, number: number, raw: conn, conn: conn, br: bufio.NewReader(conn), words: make(words)}
}

// play plays the script. The error says where the client departed from it.
func (p *player) play(steps script) error {
	for _, st := range steps {
		err := p.step(st)
		if errors.Is(err, errStop) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("script line %d: %w", st.line, err)
		}
	}
	// Closing with unread input would reset, and cut what was sent before.
	p.halfClose()
	p.raw.SetReadDeadline(time.Now().Add(lastRead))
	p.drain()
	return nil
}

func (p *player) step(st step) error {
	switch st.verb {
	case "S:":
		return p.say(st.text + "\r\n")
	case "C:":
		return p.hear(st.text)
	case "raw":
		return p.say(st.text)
	case "split":
		p.split = true
		return nil
	case "send":
		return p.sendFiller(st.n)
	case "expect":
		return p.expect(st.n)
	case "sleep", "wait":
		return p.pause(st)
	case "mark":
		p.server.setMark("mark " + st.text)
		return nil
	case "starttls":
		return p.startTLS(st.text)
	case "tls":
		return p.handshake()
	case "answer-all":
		return p.answerAll()
	case "eof":
		return p.wantEOF()
	case "half-close":
		p.halfClose()
		return nil
	}
	return p.end(st.verb)
}

// end does the steps that end a script.
func (p *player) end(verb string) error {
	switch verb {
	case "silent":
		p.drain()
	case "stall":
		<-p.server.closed
	case "reset":
		if conn, ok := p.raw.(*net.TCPConn); ok {
			conn.SetLinger(0)
		}
		p.raw.Close()
	case "close":
		p.conn.Close()
	}
	return errStop
}

func (p *player) say(text string) error {
	text, err := p.words.fill(text)
	if err != nil {
		return err
	}
	p.server.note(p.number, "S", []byte(text))
	if !p.split {
		_, err = io.WriteString(p.conn, text)
		return err
	}
	p.split = false
	for i := range len(text) {
		if _, err := io.WriteString(p.conn, text[i:i+1]); err != nil {
			return err
		}
		time.Sleep(100 * time.Microsecond) // or the client reads several at once
	}
	return nil
}

func (p *player) hear(pattern string) error {
	line, err := p.readLine()
	if err != nil {
		return fmt.Errorf("want %q, got %q and %w", pattern, line, err)
	}
	if !p.words.match(pattern, line) {
		return fmt.Errorf("want %q, got %q", pattern, line)
	}
	return nil
}

// readLine returns a line without its end.
func (p *player) readLine() (string, error) {
	var line []byte
	for {
		part, err := p.br.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			break
		}
		if !errors.Is(err, bufio.ErrBufferFull) || len(line) > maxScriptLine {
			return string(line), err
		}
	}
	p.server.note(p.number, "C", line)
	return strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r"), nil
}

func (p *player) sendFiller(n int64) error {
	p.server.note(p.number, "S", fmt.Appendf(nil, "(%d bytes)", n))
	_, err := io.CopyN(p.conn, &fillerReader{}, n)
	return err
}

func (p *player) expect(n int64) error {
	data := make([]byte, min(n, 64<<10))
	for left := n; left > 0; {
		got, err := p.br.Read(data[:min(left, int64(len(data)))])
		p.server.note(p.number, "C", data[:got])
		left -= int64(got)
		if err != nil && left > 0 {
			return fmt.Errorf("want %d bytes, %d of them did not come: %w", n, left, err)
		}
	}
	return nil
}

func (p *player) pause(st step) error {
	var signal <-chan struct{}
	var timer <-chan time.Time
	if st.verb == "wait" {
		signal = p.server.mark("wait " + st.text)
	} else {
		timer = time.After(st.wait)
	}
	select {
	case <-signal:
	case <-timer:
	case <-p.server.closed:
		return errStop
	}
	return nil
}

func (p *player) startTLS(inject string) error {
	if err := p.hear("${tag} STARTTLS"); err != nil {
		return err
	}
	if n := p.br.Buffered(); n > 0 {
		early, _ := p.br.Peek(n)
		p.server.report(fmt.Errorf("connection %d: plain bytes behind STARTTLS: %q", p.number, early))
	}
	if err := p.say("${tag} OK begin TLS\r\n" + inject); err != nil {
		return err
	}
	return p.handshake()
}

func (p *player) handshake() error {
	if p.server.tls == nil {
		return errors.New("the script turns to TLS without a configuration")
	}
	conn := tls.Server(p.raw, p.server.tls)
	if err := conn.Handshake(); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	p.conn = conn
	p.br.Reset(conn)
	p.server.note(p.number, "S", []byte("(TLS)"))
	return nil
}

// answerAll answers every line with OK; it does not know literals.
func (p *player) answerAll() error {
	for {
		line, err := p.readLine()
		if err != nil {
			return errStop // the client is gone, as it may
		}
		tag, command, ok := strings.Cut(line, " ")
		if !ok {
			continue // DONE, or a continuation
		}
		logout := strings.EqualFold(command, "LOGOUT")
		if logout {
			err = p.say("* BYE\r\n")
		}
		if err == nil {
			err = p.say(strings.ReplaceAll(tag, "${", "") + " OK done\r\n")
		}
		if err != nil || logout {
			return err
		}
	}
}

func (p *player) wantEOF() error {
	b, err := p.br.ReadByte()
	if err == nil {
		rest, _ := p.br.Peek(p.br.Buffered())
		return fmt.Errorf("want the end of the connection, got %q", string(b)+string(rest))
	}
	if !errors.Is(err, io.EOF) {
		return fmt.Errorf("want the end of the connection: %w", err)
	}
	return nil
}

// halfClose sends no more, through TLS by its own notice first.
func (p *player) halfClose() {
	if conn, ok := p.conn.(*tls.Conn); ok {
		conn.CloseWrite()
	}
	if conn, ok := p.raw.(*net.TCPConn); ok {
		conn.CloseWrite()
	}
}

// drain reads until the client ends.
func (p *player) drain() {
	buf := make([]byte, 4<<10)
	for {
		n, err := p.br.Read(buf)
		if n > 0 {
			p.server.note(p.number, "C", buf[:n])
		}
		if err != nil {
			return
		}
	}
}
