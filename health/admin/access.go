package admin

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Access says who gets in, and what for. A value given to a Server must not be changed afterwards.
type Access struct {
	TLS          *tls.Config // nil: plain HTTP. Its ClientCAs, if any, verify client certificates
	Tokens       []Token
	Certificates map[string]Right // what client certificates may do, by common name
	KnownOnly    bool             // also to read on loopback, which is open to everybody otherwise
	AllowedHosts []string         // names that a Host header may have beside those of loopback, without port
	SocketGroup  Right            // of members of the socket's group
}

// Token lets in whoever sends it over TCP; RFC 6750 section 2.1.
type Token struct {
	Name    string            // for the log
	Hash    [sha256.Size]byte // of the token
	May     Right
	Expires time.Time // zero: never
}

// ErrOpen says that an address beyond loopback would send tokens in plain text.
var ErrOpen = errors.New("an address beyond loopback needs TLS")

// allowed returns nil if an address of that kind may be opened with this access. Beyond loopback, nobody gets in who is
// not known, so an access without tokens is safe there.
func (a *Access) allowed(loopback bool) error {
	if !loopback && a.TLS == nil {
		return ErrOpen
	}
	return nil
}

// needed is the right that a request needs. Other nodes are asked with this node's own token, so that is for those who
// may change things here; a question to all nodes only reads (site.go).
func needed(r *http.Request) Right {
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead, strings.HasPrefix(r.URL.Path, nodePages):
		return MayChange
	case isConsole(r), isVerdict(r):
		return MayNothing
	}
	return MayRead
}

// tokenOf returns the token that a request has, expired or not, nil if it has none of these. It compares hashes, and
// all of them, so its duration says nothing of how much of a token was right.
func (a *Access) tokenOf(r *http.Request) (found *Token) {
	scheme, given, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if given = strings.TrimSpace(given); given == "" || !strings.EqualFold(scheme, "Bearer") {
		return nil
	}
	hash := sha256.Sum256([]byte(given))
	for i := range a.Tokens {
		if subtle.ConstantTimeCompare(hash[:], a.Tokens[i].Hash[:]) == 1 {
			found = &a.Tokens[i]
		}
	}
	return found
}

// certificateOf returns the common name of a request's client certificate, "" if it has none that counts. The handshake
// has verified it, but a connection may outlast the CA in force then, or the certificate.
func (a *Access) certificateOf(r *http.Request) string {
	if r.TLS == nil || len(r.TLS.PeerCertificates) == 0 || a.TLS == nil || a.TLS.ClientCAs == nil {
		return ""
	}
	leaf, intermediates := r.TLS.PeerCertificates[0], x509.NewCertPool()
	for _, cert := range r.TLS.PeerCertificates[1:] {
		intermediates.AddCert(cert)
	}
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: a.TLS.ClientCAs, Intermediates: intermediates,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return ""
	}
	return leaf.Subject.CommonName
}

// hostAllowed refuses names that are not ours: a web page whose own name was made to resolve to loopback could
// otherwise read all there is, through its visitor's browser. Such a page has no token, so who shows one may use any
// name: Prometheus asks a Pod by its address.
func (a *Access) hostAllowed(hostPort string) bool {
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

// guard lets only those requests through that come from someone who may ask. A browser shows its user's certificate for
// any web page, so changes that pages of other sites send are refused.
func (d *endpoint) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if conn := connOf(r); conn != nil {
			defer conn.answering(keepsSlot(r))()
		}
		access := d.server.access.Load()
		by := d.callerOf(r, access)
		misdirected := !d.socket && !by.token && !access.hostAllowed(r.Host)
		if misdirected {
			by.may = MayNothing
		}
		switch {
		case misdirected && !isVerdict(r):
			d.server.refuse(w, r, by, KindMisdirected,
				fmt.Sprintf("the host name %q is not allowed here: see admin.allowed_hosts", r.Host))
		case new(http.CrossOriginProtection).Check(r) != nil:
			d.server.refuse(w, r, by, KindForbidden, "a web page of another site may change nothing here")
		case by.may >= needed(r):
			r = r.WithContext(context.WithValue(r.Context(), callerKey{}, by))
			if lasts(r) {
				d.whileAllowed(w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		case !by.known:
			w.Header().Set("WWW-Authenticate", "Bearer")
			d.server.refuse(w, r, by, KindUnauthenticated,
				"this request needs a token, a client certificate or the admin socket")
		default:
			d.server.refuse(w, r, by, KindForbidden, by.who+" may not do that here")
		}
	})
}

// refuse answers a request that its sender may not make. It counts the request, and logs it if it would change
// something.
func (s *Server) refuse(w http.ResponseWriter, r *http.Request, by *caller, kind Kind, detail string) {
	s.metrics.refused.WithLabelValues(string(kind)).Inc()
	answer := newProblem(kind, detail)
	s.refusedChange(r, by, answer.Status)
	answer.send(w)
}
