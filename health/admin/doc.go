// Package admin is Portico's HTTP side: metrics, liveness, readiness, the API behind the command line and the console
// (api.go), and the stream of events that the console follows (events.go).
//
// A Server answers on any number of listeners, all with the same pages. What differs is how a request gets in
// (access.go, caller.go): the Unix socket is guarded by its file mode, and by who the kernel says is calling; TCP on
// loopback is open to read, unless Access.KnownOnly is set, for names that are loopback's own, and wants a token or
// a client certificate for a change; TCP beyond loopback wants one for everything, and does not open without TLS. Every
// change is logged (audit.go), and what is refused is counted (metrics.go).
//
// A request below PathSite is sent to all nodes of the site (site.go). Their answers come back side by side, as they
// are: clients merge them, figures and health sets with what statsmerge.go and rollup.go have for that.
//
// The package does not know how a node does its work. What it shows and does is passed in: a registry of metrics, a
// list of named checks, an API of interfaces (api.go).
package admin
