// Command portico is the front door of a mail system: an IMAP proxy that signs users in, finds the mailbox server that
// holds their mail, and moves the bytes between the two while it measures every command.
//
// The package is the only one that knows all others: it reads the configuration (configs), translates it for the parts
// (translate.go), starts them, and ends them when a signal says so (service.go). One file per command.
package main

import (
	"os"

	_ "portico/cmd/portico/hangup" // SIGHUP does not end a process that is about to serve
)

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}
