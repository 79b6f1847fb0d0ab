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
	"time"
	"unicode"
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
	who   string // as the log names it
	from  string
	known bool // who is proven: by a token, a certificate or the kernel
	owner bool // Portico's own user or root, proven by the kernel
	token bool // known by a token
	may   Right
}

// anybody is who sends a request over TCP without a token or a certificate.
const anybody = "anybody"

// peer is the process at the other end of a Unix socket.
type peer struct {
	uid uint32
	pid int32
}

// keys of a request's context.
type (
	connKey   struct{} // *slotConn
	callerKey struct{} // *caller
)

// withConn is http.Server.ConnContext: it passes a connection's slot to its requests.
func withConn(ctx context.Context, conn net.Conn) context.Context {
	if over, ok := conn.(*tls.Conn); ok {
		conn = over.NetConn()
	}
	return context.WithValue(ctx, connKey{}, conn)
}

// Who names the sender of a request as the log does: a user of this machine, a token or a certificate. It is "" if the
// context is no request's.
func Who(ctx context.Context) string {
	by, ok := ctx.Value(callerKey{}).(*caller)
	if !ok {
		return ""
	}
	return by.who
}

// isOwner says whether the sender of a request may do as Portico's own user what the API does not do for others, since
// the sender could anyway: it is that user or root, at the socket.
func isOwner(ctx context.Context) bool {
	by, ok := ctx.Value(callerKey{}).(*caller)
	return ok && by.owner
}

// connOf returns the connection of a request.
func connOf(r *http.Request) *slotConn {
	conn, _ := r.Context().Value(connKey{}).(*slotConn)
	return conn
}

// callerOf says who sends a request. On the socket it is a process of this machine; over TCP it is a token, a client
// certificate, or anybody. A certificate without rights may do what anybody may.
func (d *endpoint) callerOf(r *http.Request, a *Access) *caller {
	if d.socket {
		return d.process(r, a)
	}
	c := &caller{who: anybody, from: r.RemoteAddr}
	if d.loopback && !a.KnownOnly {
		c.may = MayRead
	}
	token, certificate := a.tokenOf(r), a.certificateOf(r)
	expired := token != nil && !token.Expires.IsZero() && !time.Now().Before(token.Expires)
	switch {
	case token != nil && !expired:
		c.who, c.known, c.token, c.may = "token "+token.Name, true, true, token.May
	case certificate != "":
		c.who, c.known, c.may = "certificate "+certificate, true, max(c.may, a.Certificates[certificate])
	case expired:
		c.who = "expired token " + token.Name
	}
	if c.may == MayChange {
		c.who += behalf(r)
	}
	return c
}

// behalfHeader names, in a request that a node passes on to another one, who has sent it to the former.
const behalfHeader = "Portico-On-Behalf-Of"

// PassOn notes on a request to another node who has sent the request that it passes on, and to which node. Whatever
// the sender has written there is replaced.
func PassOn(out *http.Request, in context.Context, node string) {
	out.Header.Set(behalfHeader, Who(in)+" of node "+node)
	out.Header.Del("Origin") // this node has judged it, and the other one has another name
}

// passedOn says whether another node has passed a request on.
func passedOn(r *http.Request) bool { return r.Header.Get(behalfHeader) != "" }

// maxBehalf bounds what another node says of who asks, in bytes.
const maxBehalf = 256

// behalf is who has sent a request to the node that passes it on, as that node says. It is asked only where the token
// or the certificate may change things: another node's word counts as much as these.
func behalf(r *http.Request) string {
	who := r.Header.Get(behalfHeader)
	if who == "" {
		return ""
	}
	return " for " + strings.ReplaceAll(oneLine(who, maxBehalf), ",", "?")
}

// oneLine returns a text of another node as one line, without characters that could change how the rest of the line
// looks. most bounds it, in bytes.
func oneLine(text string, most int) string {
	text = strings.ToValidUTF8(text[:min(len(text), most)], "")
	return strings.Map(func(c rune) rune {
		if c != ' ' && !unicode.IsPrint(c) {
			return '?'
		}
		return c
	}, text)
}

// process says who is at the other end of the socket. Portico's own user and root may do everything; the file's mode
// lets only members of the socket's group in beside them.
func (d *endpoint) process(r *http.Request, a *Access) *caller {
	c := &caller{who: "whoever may open the socket", from: d.path, known: true, may: MayChange}
	conn := connOf(r)
	if conn == nil {
		return c
	}
	p, ok := peerOf(conn.Conn)
	if !ok {
		return c
	}
	c.who, c.from = "user "+userName(p.uid), fmt.Sprintf("%s, process %d", d.path, p.pid)
	if c.owner = p.uid == 0 || int(p.uid) == os.Geteuid(); !c.owner {
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
