package admin

import (
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

// Access says who gets in by TCP. A value given to a Server must not be changed afterwards.
type Access struct {
	TLS          *tls.Config  // nil: plain HTTP
	Token        secret.Value // RFC 6750 section 2.1; "" for none
	AllowedHosts []string     // names and addresses that a Host header may have beside those of loopback, without port
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

// tokenNeeded says that a request must carry the token. On loopback everybody may read, and nobody may change anything without one.
func (a Access) tokenNeeded(loopback bool, method string) bool {
	return !loopback || method != http.MethodGet && method != http.MethodHead
}

// tokenFits compares without telling by its duration how much of the token was right.
func (a Access) tokenFits(r *http.Request) bool {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if a.Token == "" || !strings.EqualFold(scheme, "Bearer") {
		return false
	}
	want, got := sha256.Sum256([]byte(a.Token.Reveal())), sha256.Sum256([]byte(strings.TrimSpace(given)))
	return subtle.ConstantTimeCompare(want[:], got[:]) == 1
}

// hostAllowed refuses names that are not ours: a web page whose own name was made to resolve to loopback could otherwise read
// all there is, through its visitor's browser.
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
func (d *door) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		access := d.server.access.Load()
		switch {
		case d.private:
		case !access.hostAllowed(r.Host):
			http.Error(w, fmt.Sprintf("The host %q is not known here: see admin.allowed_hosts.", r.Host), http.StatusMisdirectedRequest)
			return
		case (access.tokenNeeded(d.loopback, r.Method) || strings.HasPrefix(r.URL.Path, nodePages)) && !access.tokenFits(r):
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "A token is needed, or the admin socket.", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}
