package admin

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Right is what somebody may do here.
type Right uint8

// The rights, each with those before it.
const (
	MayNothing Right = iota
	MayRead
	MayChange
)

// caller is whoever sends a request, and what that may do.
type caller struct {
	who  string // as the log names it
	from string
	may  Right
}

// anybody is who sends a request over TCP without a token.
const anybody = "anybody"

// peer is the process at the other end of a Unix socket.
type peer struct {
	uid uint32
	pid int32
}

// keys of a request's context.
type (
	connKey   struct{} // *placedConn
	callerKey struct{} // *caller
)

// withConn is http.Server.ConnContext: it passes a connection's slot to its requests.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// Who names the sender of a request as the log does: a user of this machine, or a token. It is "" if the context is no
// request's.
func Who(ctx context.Context) string {
	by, ok := ctx.Value(callerKey{}).(*caller)
	if !ok {
		return ""
	}
	return by.who
}

// connOf returns the connection of a request.
func connOf(r *http.Request) *slotConn {
	conn, _ := r.Context().Value(connKey{}).(*slotConn)
	return conn
}

// callerOf says who sends a request. On the socket it is a process of this machine; over TCP it is a token, or
// anybody.
func (d *endpoint) callerOf(r *http.Request, a *Access) *caller {
	if d.private {
		return d.process(r, a)
	}
	c := &caller{who: anybody, from: r.RemoteAddr}
	switch {
	case fits(r, a.Token):
		c.who, c.may = "token "+a.TokenName+behalf(r), MayChange
	case fits(r, a.ReadToken):
		c.who, c.may = "token "+a.ReadTokenName, MayRead
	case d.loopback && a.ReadToken == "":
		c.may = MayRead
	}
	return c
}

// behalfHeader names, in a request that a node passes on to another one, who has sent it to the former.
const behalfHeader = "Portico-On-Behalf-Of"

// PassOn notes on a request to another node who has sent the request that it passes on, and to which node. Whatever
// the sender has written there is replaced.
func PassOn(out *http.Request, in context.Context, node string) {
	out.Header.Set(behalfHeader, Who(in)+" of node "+node)
}

// maxBehalf bounds what another node says of who asks, in bytes.
const maxBehalf = 256

// behalf is who has sent a request to the node that passes it on, as that node says. It is asked only where the token
// may change things: another node's word counts as much as its token.
func behalf(r *http.Request) string {
	who := r.Header.Get(behalfHeader)
	if who == "" {
		return ""
	}
	printable := func(c rune) rune {
		if c < ' ' || c == ',' || c == 0x7f || c == utf8.RuneError {
			return '?'
		}
		return c
	}
	return " for " + strings.ToValidUTF8(strings.Map(printable, who[:min(len(who), maxBehalf)]), "")
}

// process says who is at the other end of the socket. Portico's own user and root may do everything; the file's mode
// lets only members of the socket's group in beside them.
func (d *endpoint) process(r *http.Request, a *Access) *caller {
	c := &caller{who: "whoever may open the socket", from: d.path, may: MayChange}
	conn := connOf(r)
	if conn == nil {
		return c
	}
	p, ok := peerOf(conn.Conn)
	if !ok {
		return c
	}
	c.who, c.from = "user "+userName(p.uid), fmt.Sprintf("%s, process %d", d.path, p.pid)
	if p.uid != 0 && int(p.uid) != os.Geteuid() {
		c.may = a.SocketGroup
	}
	return c
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}
