// Package admin is Portico's HTTP side: metrics, liveness, readiness, a page that names them, and the API behind the
// command line (api.go).
//
// A Server answers on any number of listeners, all with the same pages. What differs is how a request gets in
// (access.go, caller.go): the Unix socket is guarded by its file mode, and by who the kernel says is calling; TCP on
// loopback is open to read, unless Access.KnownOnly is set, for names that are loopback's own, and wants a token or
// a client certificate for a change; TCP beyond loopback wants one for everything, and does not open without TLS. Every
// change is logged (audit.go), and what is refused is counted (metrics.go).
//
// A request below PathSite is sent to all nodes of the site (site.go).
//
// The package knows nothing of IMAP. What it shows and does is passed in: a registry of metrics, a list of named
// checks, an API.
package admin
