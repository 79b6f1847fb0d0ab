package backend

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"time"

	"portico/proxy/wire"
)

// Offers says whether a server offers COMPRESS or UNAUTHENTICATE after sign-in, which the relay must prevent.
type Offers uint8

// The three answers.
const (
	OffersUnknown Offers = iota // no capability list came with the sign-in
	OffersNone
	OffersHidden // it does; the names are taken out of Replies
)

// Link is a signed-in connection. The caller that gets it owns it. It has no deadlines.
type Link struct {
	Server   string // name of the mailbox server
	Database string
	Addr     string    // the address that was dialled, host:port
	Conn     net.Conn  // as Upstream.Dial returned it
	TLS      *tls.Conn // over Conn; nil when plain
	// for the client: untagged responses and OK of the sign-in, the server's capability list among them, less what is
	// hidden
	Replies []byte
	Rest    []byte // read behind them and not looked at; goes to the client next
	Offers  Offers
	// Extensions are those of the server's last capability list.
	Extensions wire.Extensions
}

// logOutTime bounds the end of a session at a mailbox server that is not used.
const logOutTime = time.Second

// LogOut sends LOGOUT and closes the connection, within a second.
func (l *Link) LogOut(now time.Time) {
	defer l.Conn.Close()
	l.Conn.SetDeadline(now.Add(logOutTime))
	stream := l.Conn
	if l.TLS != nil {
		stream = l.TLS
	}
	if _, err := stream.Write([]byte("portico LOGOUT\r\n")); err == nil {
		io.CopyN(io.Discard, stream, maxResponse) // the server closes behind its answer
	}
}

func (c *serverConn) link() (*Link, error) {
	if err := c.prepare(); err != nil {
		return nil, err
	}
	if c.greeted != nil {
		c.greeted()
	}
	s, err := c.signIn()
	if err != nil {
		return nil, err
	}
	return &Link{
		Server:     c.server.name,
		Addr:       c.address.hostPort,
		Conn:       c.conn,
		TLS:        c.tls,
		Replies:    s.replies,
		Rest:       bytes.Clone(c.responses.Buffered()),
		Offers:     s.offers,
		Extensions: s.list.extends,
	}, nil
}
