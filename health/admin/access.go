package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"portico/backend/secret"
)

// Access says who gets in, and what for. A value given to a Server must not be changed afterwards.
type Access struct {
	TLS           *tls.Config  // nil: plain HTTP
	Token         secret.Value // to read and change; RFC 6750 section 2.1; "" for none
	TokenName     string       // for the log
	ReadToken     secret.Value // to read; "" for none: on loopback everybody may read then
	ReadTokenName string
	AllowedHosts  []string // names and addresses that a Host header may have beside those of loopback, without port
	SocketGroup   Right    // of members of the socket's group
}

// ErrOpen says that an address beyond loopback would be open to whoever reaches it.
var ErrOpen = errors.New("an address beyond loopback needs TLS and a token")

// allowed returns nil if an address of that kind may be opened with this access.
func (a Access) allowed(loopback bool) error {
	if !loopback && (a.TLS == nil || a.Token == "") {
		return ErrOpen
	}
	return nil
}

// needed is the right that a request needs. Other nodes are asked with this node's own token, so that is for those who
// may change things here.
func needed(r *http.Request) Right {
	if r.Method != http.MethodGet && r.Method != http.MethodHead || strings.HasPrefix(r.URL.Path, nodePages) {
		return MayChange
	}
	return MayRead
}

// fits compares without telling by its duration how much of the token was right.
func fits(r *http.Request, token secret.Value) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if token == "" || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	want, got := sha256.Sum256([]byte(token.Reveal())), sha256.Sum256([]byte(strings.TrimSpace(given)))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// hostAllowed refuses names that are not ours: a web page whose own name was made to resolve to loopback could
// otherwise read all there is, through its visitor's browser.
func (a Access) hostAllowed(hostPort string) bool {
	host := hostPort
	if h, _, err := net.SplitHostPort(hostPort); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(host, "localhost") {
		return true
	}
	if ip, err := netip.ParseAddr(host); err == nil && ip.Unmap().IsLoopback() {
		return true
	}
	return slices.ContainsFunc(a.AllowedHosts, func(h string) bool { return strings.EqualFold(h, host) })
}

// guard lets only those requests through that come from someone who may ask.
func (d *endpoint) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn := connOf(r); conn != nil {
			defer conn.answering(keepsSlot(r))()
		}
		access := d.server.access.Load()
		by := d.callerOf(r, access)
		switch {
		case !d.private && !access.hostAllowed(r.Host):
			newProblem(KindMisdirected,
				fmt.Sprintf("the host name %q is not allowed here: see admin.allowed_hosts", r.Host)).send(w)
			return
		case by.may >= needed(r):
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), callerKey{}, by)))
		case by.may == MayNothing && !d.private || by.may == MayRead && by.who == anybody:
			d.server.refusedChange(r, by, http.StatusUnauthorized)
			w.Header().Set("WWW-Authenticate", "Bearer")
			newProblem(KindUnauthenticated, "this request needs a token, or the admin socket").send(w)
		default:
			d.server.refusedChange(r, by, http.StatusForbidden)
			newProblem(KindForbidden, fmt.Sprintf("%s may not do that here: see admin.socket_group_may and "+
				"admin.token_file", by.who)).send(w)
		}
	})
}
