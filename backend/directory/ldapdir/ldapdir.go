// Package ldapdir asks an LDAP server who a user is and whether a password is right.
//
// A user is one entry that a filter finds; its attributes tell where the mailbox is, and a bind as that entry whether
// a password is right. What a client has said stands in filters and names escaped. The package knows nothing of
// sign-in. What it is asked with and what it answers is package directory's.
package ldapdir

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"

	"portico/backend/directory"
	"portico/backend/secret"
)

// maxValue bounds an attribute's value, in bytes.
const maxValue = 4 << 10

// Scope is how far below its base a search looks.
type Scope int

// The scopes (RFC 4511 section 4.5.1.2).
const (
	Base Scope = ldap.ScopeBaseObject
	One  Scope = ldap.ScopeSingleLevel
	Sub  Scope = ldap.ScopeWholeSubtree
)

// Options of a Directory.
type Options struct {
	URLs     []string // ldap or ldaps, asked in turn, the one that answered last first; at least one
	StartTLS bool     // on connections of ldap
	TLS      *tls.Config
	// BindDN and BindPassword are the proxy's own, for searches; none is an anonymous search.
	BindDN       string
	BindPassword secret.Value

	Base   string
	Scope  Scope
	Filter string // a directory.Template
	// UserDN is a directory.Template of the name to bind by for a password to be judged; "" searches for it.
	UserDN string
	// Attributes says which attribute holds what: the keys are those of directory.Entry.Set, and "refuse", for users
	// who must not sign in.
	Attributes map[string]string
	Timeout    time.Duration // of one request
	// Report receives each entry that was found for another name; it may be nil.
	Report func(error)
}

// Directory is a directory.Source and a directory.Verifier. It is safe for concurrent use.
type Directory struct {
	opt    Options
	filter directory.Template
	blank  *ber.Packet // the filter for nobody
	userDN directory.Template
	wanted []string     // attributes
	first  atomic.Int32 // the URL that answered last

	turn   chan struct{} // full while somebody has shared, or makes it
	shared *ldap.Conn    // all searches go over it; nil while there is none
}

// New returns a Directory. It opens no connection.
func New(o Options) (*Directory, error) {
	d := &Directory{opt: o, turn: make(chan struct{}, 1)}
	if len(o.URLs) == 0 {
		return nil, errors.New("url is missing")
	}
	for _, text := range o.URLs {
		if _, _, err := parse(text); err != nil {
			return nil, err
		}
	}
	if o.Timeout <= 0 {
		return nil, errors.New("options: Timeout is missing")
	}
	var err error
	if o.Filter != "" {
		if d.filter, err = directory.ParseTemplate(o.Filter); err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
		asked, err := d.compile(directory.Query{User: "u@d"})
		if err != nil {
			return nil, errors.New("filter: not an LDAP filter (RFC 4515)")
		}
		if d.blank, err = d.compile(nobody); err != nil {
			return nil, fmt.Errorf("filter: %w", err)
		}
		d.wanted = compared(asked, d.blank)
	}
	if o.UserDN != "" {
		if d.userDN, err = directory.ParseTemplate(o.UserDN); err != nil {
			return nil, fmt.Errorf("user_dn: %w", err)
		}
	}
	if o.Filter == "" && o.UserDN == "" {
		return nil, errors.New("needs a filter or a user_dn")
	}
	for _, attribute := range o.Attributes {
		if !slices.ContainsFunc(d.wanted, func(had string) bool { return strings.EqualFold(had, attribute) }) {
			d.wanted = append(d.wanted, attribute)
		}
	}
	if len(d.wanted) == 0 {
		d.wanted = []string{"1.1"} // no attributes (RFC 4511 section 4.5.1.8)
	}
	return d, nil
}

// parse reads an URL of ldap or ldaps.
func parse(text string) (address string, secure bool, err error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Scheme != "ldap" && u.Scheme != "ldaps" {
		return "", false, fmt.Errorf("%q is not an ldap or ldaps URL", secret.URL(text))
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ldap": "389", "ldaps": "636"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port), u.Scheme == "ldaps", nil
}

// Close closes the connection that is kept.
func (d *Directory) Close() {
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	if d.shared != nil {
		d.shared.Close()
		d.shared = nil
	}
}

// Lookup implements directory.Source.
func (d *Directory) Lookup(ctx context.Context, q directory.Query) (directory.Entry, error) {
	found, err := d.find(ctx, q)
	if err != nil {
		return directory.Entry{}, err
	}
	return d.read(q, found)
}

// Verify implements directory.Verifier: it binds as the user. An entry with a reason to refuse is refused, whatever
// the password.
func (d *Directory) Verify(ctx context.Context, q directory.Query) (string, error) {
	q.User = q.Login
	if q.Password == "" { // such a bind succeeds as nobody (RFC 4513 section 5.1.2)
		return "", directory.ErrBadCredential
	}
	if d.opt.UserDN != "" {
		return q.Login, d.bind(ctx, d.userDN.Fill(q, ldap.EscapeDN), q.Password, d.boundAs)
	}
	found, err := d.find(ctx, q)
	if err != nil {
		return "", err
	}
	entry, err := d.read(q, found)
	if err != nil {
		return "", err
	}
	byName := func(*ldap.Conn, string) error { return nil }
	return cmp.Or(entry.User, q.Login), d.bind(ctx, found.DN, q.Password, byName)
}

// bind binds as a user over a connection of its own, and looks at it then.
func (d *Directory) bind(ctx context.Context, dn string, password secret.Value, look func(conn *ldap.Conn,
	dn string) error) error {
	conn, err := d.dial(ctx)
	if err != nil {
		return unavailable(ctx, err)
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	err = conn.Bind(dn, password.Reveal())
	switch {
	case err == nil:
		return look(conn, dn)
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultInvalidCredentials, ldap.LDAPResultNoSuchObject,
		ldap.LDAPResultInvalidDNSyntax):
		return directory.ErrBadCredential
	case ldap.IsErrorAnyOf(err, ldap.LDAPResultInappropriateAuthentication, ldap.LDAPResultUnwillingToPerform):
		return directory.Refused("the directory refuses the bind")
	}
	return unavailable(ctx, err)
}

// find searches for the one entry of a user.
func (d *Directory) find(ctx context.Context, q directory.Query) (*ldap.Entry, error) {
	request := ldap.NewSearchRequest(d.opt.Base, int(d.opt.Scope), ldap.NeverDerefAliases, 2,
		int(d.opt.Timeout/time.Second), false,
		d.filter.Fill(q, ldap.EscapeFilter), d.wanted, nil)
	result, err := d.search(ctx, request)
	switch {
	case ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded), err == nil && len(result.Entries) > 1:
		return nil, directory.Unavailable("ldap", errors.New("the filter matches more than one entry"))
	case err != nil:
		return nil, unavailable(ctx, err)
	case len(result.Entries) == 0: // references to other servers are not followed: who is asked is configured
		return nil, directory.ErrNotFound
	}
	return result.Entries[0], nil
}

// search runs a search over the shared connection, and once more over a new one if that was broken.
func (d *Directory) search(ctx context.Context, request *ldap.SearchRequest) (*ldap.SearchResult, error) {
	for try := 0; ; try++ {
		conn, fresh, err := d.connection(ctx)
		if err != nil {
			return nil, err
		}
		result, err := searchWith(ctx, conn, request)
		if !ldap.IsErrorAnyOf(err, ldap.ErrorNetwork, ldap.LDAPResultUnavailable, ldap.LDAPResultBusy) &&
			!conn.IsClosing() {
			return result, err
		}
		d.drop(conn)
		if err == nil || fresh || try > 0 || ctx.Err() != nil {
			return result, err
		}
	}
}

// searchWith gives up waiting when ctx ends; others wait for answers on the same connection.
func searchWith(ctx context.Context, conn *ldap.Conn, request *ldap.SearchRequest) (*ldap.SearchResult, error) {
	result := &ldap.SearchResult{}
	response := conn.SearchAsync(ctx, request, 4)
	for response.Next() {
		if entry := response.Entry(); entry != nil {
			result.Entries = append(result.Entries, entry)
		}
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return result, response.Err()
}

// connection returns the shared connection, bound, and says whether it is new.
func (d *Directory) connection(ctx context.Context) (conn *ldap.Conn, fresh bool, err error) {
	select {
	case d.turn <- struct{}{}:
		defer func() { <-d.turn }()
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	if d.shared != nil && !d.shared.IsClosing() {
		return d.shared, false, nil
	}
	if conn, err = d.dial(ctx); err != nil {
		return nil, false, err
	}
	if d.opt.BindDN != "" {
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		err := conn.Bind(d.opt.BindDN, d.opt.BindPassword.Reveal())
		if !stop() || err != nil {
			conn.Close()
			return nil, false, errors.Join(errors.New("bind of the proxy itself"), err)
		}
	}
	d.shared = conn
	return conn, true, nil
}

// drop gives a connection up.
func (d *Directory) drop(conn *ldap.Conn) {
	conn.Close()
	d.turn <- struct{}{}
	defer func() { <-d.turn }()
	if d.shared == conn {
		d.shared = nil
	}
}

// dial connects to the first server that answers, with TLS as configured.
func (d *Directory) dial(ctx context.Context) (*ldap.Conn, error) {
	var failures []error
	first := int(d.first.Load())
	for i := range d.opt.URLs {
		at := (first + i) % len(d.opt.URLs)
		conn, err := d.dialOne(ctx, d.opt.URLs[at])
		if err == nil {
			d.first.Store(int32(at))
			return conn, nil
		}
		failures = append(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, errors.Join(failures...)
}

func (d *Directory) dialOne(ctx context.Context, text string) (*ldap.Conn, error) {
	address, secure, err := parse(text)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.opt.Timeout)
	defer cancel()
	raw, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	config := d.tlsConfig(address)
	if secure {
		encrypted := tls.Client(raw, config)
		if err := encrypted.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, fmt.Errorf("TLS with %s: %w", address, err)
		}
		raw = encrypted
	}
	conn := ldap.NewConn(raw, secure)
	conn.SetTimeout(d.opt.Timeout)
	conn.Start()
	if !secure && d.opt.StartTLS {
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		err := conn.StartTLS(config)
		if !stop() || err != nil {
			conn.Close()
			return nil, errors.Join(fmt.Errorf("StartTLS with %s", address), err)
		}
	}
	return conn, nil
}

func (d *Directory) tlsConfig(address string) *tls.Config {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.opt.TLS != nil {
		config = d.opt.TLS.Clone()
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	return config
}

// read reads an entry's attributes. One that has no user counts only if it is for the name that was asked for.
func (d *Directory) read(q directory.Query, found *ldap.Entry) (directory.Entry, error) {
	var entry directory.Entry
	if attribute := d.opt.Attributes["user"]; attribute == "" || found.GetEqualFoldAttributeValue(attribute) == "" {
		if err := d.owns(q, found); err != nil {
			return entry, err
		}
	}
	for key, attribute := range d.opt.Attributes {
		values := found.GetEqualFoldAttributeValues(attribute)
		switch {
		case len(values) == 0 || values[0] == "":
			continue
		case len(values) > 1:
			return entry, directory.Unavailable("ldap", fmt.Errorf("attribute %s has %d values", attribute,
				len(values)))
		case len(values[0]) > maxValue:
			return entry, directory.Unavailable("ldap", fmt.Errorf("attribute %s has %d bytes", attribute,
				len(values[0])))
		}
		var err error
		if key == "refuse" {
			if err = directory.RefusedIf(values[0]); err != nil {
				return directory.Entry{}, err
			}
			continue
		}
		if key == "mode" {
			values[0] = strings.ToLower(values[0])
		}
		if err = entry.Set(key, values[0]); err != nil {
			return directory.Entry{}, directory.Unavailable("ldap", fmt.Errorf("attribute %s: %w", attribute, err))
		}
	}
	return entry, nil
}

// unavailable is for what is no answer.
func unavailable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return directory.Unavailable("ldap", err)
}
