// Package bench is the load tool as a library: it signs in many IMAP sessions, has them work by a profile, measures
// every command, checks every answer, and reports.
//
// It stands outside of the proxy, as mail programs do: it speaks to any IMAP server and knows nothing of what is
// behind the address. Of this repository it may use package backendtest alone. It has its own client side of IMAP,
// because it has to be cheap and to tell a wrong answer from a failed one; that client keeps no message in memory.
//
// Run carries one run out and returns its Report. Compare has several targets do the same work in turns. Both are
// bounded: time and sessions have limits, and addresses beyond loopback are refused unless that is allowed in plain
// words (Resolve).
package bench
