package backendtest

import (
	"bytes"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log"
	"maps"
	"net"
	"strings"
	"sync"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"
	"github.com/emersion/go-imap/v2/imapserver/imapmemserver"
	"github.com/emersion/go-sasl"
)

// masterSeparator stands between user and master in LOGIN user*master.
const masterSeparator = "*"

// User is a mailbox owner of a test server. Names are not normalised.
type User struct {
	Name, Password string
	// Mail is the content of the mailboxes at the start.
	Mail []Mail
}

// Mail is one message and its mailbox.
type Mail struct {
	Mailbox string // made if missing; empty means INBOX
	Message []byte // RFC 5322, lines end with CR LF
	Flags   []imap.Flag
}

// MemoryOptions configure a Memory server.
type MemoryOptions struct {
	// Name is the server's name. It only distinguishes servers.
	Name  string
	Users []User
	// Masters are accounts (name to password) that may sign in as any user, by
	// PLAIN with an authorization identity or by LOGIN user*master.
	Masters map[string]string
	// TLSConfig, if any, makes Serve offer STARTTLS and allows ServeTLS.
	TLSConfig *tls.Config
	// RequireTLS refuses sign-in without TLS.
	RequireTLS bool
	// Caps replaces the default capabilities, if not nil.
	Caps imap.CapSet
	// Log receives the library's messages about clients; nil drops them.
	Log *log.Logger
}

// Memory is an IMAP server that keeps mail in memory, built on go-imap's server. It is safe for concurrent use.
// It has two limits: before sign-in it hangs up on any verb that it does not know, including ID, and PLAIN is its only
// mechanism besides the LOGIN command.
type Memory struct {
	name    string
	masters map[string]string
	tls     *tls.Config
	imap    *imapserver.Server

	conns   sync.WaitGroup
	changes changes

	mu       sync.Mutex
	users    map[string]*imapmemserver.User
	signedIn map[string]int
	closing  bool
}

// NewMemory returns a server with the given users. Each has INBOX, Archive, Drafts, Sent and Trash, and the mailboxes
// of its mail.
func NewMemory(o MemoryOptions) (*Memory, error) {
	m := &Memory{
		name:     o.Name,
		masters:  maps.Clone(o.Masters),
		tls:      o.TLSConfig,
		users:    make(map[string]*imapmemserver.User),
		signedIn: make(map[string]int),
	}
	caps := o.Caps
	if caps == nil {
		caps = memoryCaps()
	}
	var logger imapserver.Logger = discardLog{}
	if o.Log != nil {
		logger = o.Log
	}
	m.imap = imapserver.New(&imapserver.Options{
		NewSession:   m.newSession,
		Caps:         caps,
		Logger:       logger,
		TLSConfig:    o.TLSConfig,
		InsecureAuth: !o.RequireTLS,
	})
	for _, u := range o.Users {
		if err := m.AddUser(u); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Name returns the server's name.
func (m *Memory) Name() string { return m.name }

// AddUser adds or replaces a user.
func (m *Memory) AddUser(u User) error {
	user := imapmemserver.NewUser(u.Name, u.Password)
	for _, mailbox := range []string{"INBOX", "Archive", "Drafts", "Sent", "Trash"} {
		if err := user.Create(mailbox, nil); err != nil {
			return fmt.Errorf("create %s of %s: %w", mailbox, u.Name, err)
		}
	}
	m.mu.Lock()
	m.users[u.Name] = user
	m.mu.Unlock()
	for _, mail := range u.Mail {
		if err := m.DeliverMail(u.Name, mail); err != nil {
			return err
		}
	}
	return nil
}

// Deliver appends a message to a user's mailbox, and creates the mailbox if it is missing. Sessions that have it
// selected are notified, those in IDLE at once.
func (m *Memory) Deliver(user, mailbox string, message []byte) error {
	return m.DeliverMail(user, Mail{Mailbox: mailbox, Message: message})
}

// DeliverMail is Deliver for a message with flags.
func (m *Memory) DeliverMail(user string, mail Mail) error {
	u := m.user(user)
	if u == nil {
		return fmt.Errorf("deliver to %s: no such user", user)
	}
	if mail.Mailbox == "" {
		mail.Mailbox = "INBOX"
	}
	if err := u.Create(mail.Mailbox, nil); err != nil && !isCode(err, imap.ResponseCodeAlreadyExists) {
		return fmt.Errorf("deliver to %s: create %s: %w", user, mail.Mailbox, err)
	}
	defer m.changes.rouse()
	options := &imap.AppendOptions{Flags: mail.Flags}
	if _, err := u.Append(mail.Mailbox, bytes.NewReader(mail.Message), options); err != nil {
		return fmt.Errorf("deliver to %s: %w", user, err)
	}
	return nil
}

// SignedIn returns the number of open sessions of each user who has any.
func (m *Memory) SignedIn() map[string]int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.signedIn)
}

// Serve answers plain connections, with STARTTLS if there is a TLSConfig, until Close. Close may come first. Then it
// returns nil.
func (m *Memory) Serve(ln net.Listener) error { return m.serve(countedListener{ln, &m.conns}) }

// serve ignores the library's error about a server that was closed before it began.
func (m *Memory) serve(ln net.Listener) error {
	err := m.imap.Serve(ln)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closing {
		return nil
	}
	return err
}

// ServeTLS is Serve for implicit TLS.
func (m *Memory) ServeTLS(ln net.Listener) error {
	if m.tls == nil {
		return errors.New("serve TLS: no TLS configuration")
	}
	return m.serve(tls.NewListener(countedListener{ln, &m.conns}, m.tls))
}

// Close closes listeners and connections and waits until they are gone.
func (m *Memory) Close() error {
	m.mu.Lock()
	m.closing = true
	m.mu.Unlock()
	err := m.imap.Close()
	m.conns.Wait()
	return err
}

func (m *Memory) newSession(*imapserver.Conn) (imapserver.Session, *imapserver.GreetingData, error) {
	return &memorySession{server: m}, nil, nil
}

func (m *Memory) user(name string) *imapmemserver.User {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.users[name]
}

func (m *Memory) countUser(name string, by int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.signedIn[name] += by; m.signedIn[name] == 0 {
		delete(m.signedIn, name)
	}
}

// memorySession is one connection. It belongs to that connection's goroutine.
type memorySession struct {
	*imapmemserver.UserSession // nil before sign-in

	server *Memory
	name   string // the user, empty before sign-in
}

var (
	_ imapserver.SessionIMAP4rev2 = (*memorySession)(nil)
	_ imapserver.SessionSASL      = (*memorySession)(nil)
)

// Login serves the LOGIN command, user*master included.
func (s *memorySession) Login(name, password string) error {
	if user, master, ok := strings.Cut(name, masterSeparator); ok {
		return s.loginAs(user, master, password)
	}
	return s.loginAs("", name, password)
}

// AuthenticateMechanisms lists the mechanisms of AUTHENTICATE.
func (s *memorySession) AuthenticateMechanisms() []string { return []string{sasl.Plain} }

// Authenticate serves AUTHENTICATE.
func (s *memorySession) Authenticate(mechanism string) (sasl.Server, error) {
	if mechanism != sasl.Plain {
		return nil, &imap.Error{Type: imap.StatusResponseTypeNo, Text: "Mechanism not supported"}
	}
	return sasl.NewPlainServer(s.loginAs), nil
}

// loginAs signs in with the account's password as the user identity, which may
// be empty or the account itself; anybody else is for masters.
func (s *memorySession) loginAs(identity, account, password string) error {
	name := identity
	if identity == "" || identity == account {
		name = account
	}
	user := s.server.user(name)
	if user == nil {
		return imapserver.ErrAuthFailed
	}
	if name == account {
		if err := user.Login(account, password); err != nil {
			return err
		}
	} else if !s.server.masterMay(account, password) {
		return imapserver.ErrAuthFailed
	}
	s.UserSession = imapmemserver.NewUserSession(user)
	s.name = name
	s.server.countUser(name, 1)
	return nil
}

// Close ends the session.
func (s *memorySession) Close() error {
	if s.UserSession == nil {
		return nil
	}
	s.server.countUser(s.name, -1)
	return s.UserSession.Close()
}

func (m *Memory) masterMay(account, password string) bool {
	want, ok := m.masters[account]
	return ok && subtle.ConstantTimeCompare([]byte(want), []byte(password)) == 1
}

// memoryCaps are the capabilities of go-imap's memory server.
func memoryCaps() imap.CapSet {
	caps := make(imap.CapSet)
	for _, c := range []imap.Cap{
		imap.CapIMAP4rev1, imap.CapIMAP4rev2, imap.CapLiteralPlus, imap.CapIdle, imap.CapNamespace,
		imap.CapUIDPlus, imap.CapMove, imap.CapESearch, imap.CapSearchRes, imap.CapListExtended,
		imap.CapListStatus, imap.CapStatusSize, imap.CapUnselect, imap.CapChildren,
	} {
		caps[c] = struct{}{}
	}
	return caps
}

func isCode(err error, code imap.ResponseCode) bool {
	var e *imap.Error
	return errors.As(err, &e) && e.Code == code
}

type discardLog struct{}

func (discardLog) Printf(string, ...any) {}

// countedListener counts the connections that are open, because go-imap's Close
// does not wait for them.
type countedListener struct {
	net.Listener
	open *sync.WaitGroup
}

func (l countedListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.open.Add(1)
	return &countedConn{Conn: conn, done: sync.OnceFunc(l.open.Done)}, nil
}

type countedConn struct {
	net.Conn
	done func()
}

func (c *countedConn) Close() error {
	defer c.done()
	return c.Conn.Close()
}
