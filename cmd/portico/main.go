// Command portico is the front end of a mail system: an IMAP proxy that signs users in, finds the mailbox server that
// holds their mail, and moves the bytes between the two while it measures every command.
//
// The program has two halves that do not know each other: the command line (cli), and a running Portico (node). Only
// this file joins them.
package main

import (
	"os"

	"portico/cmd/portico/cli"
	_ "portico/cmd/portico/hangup" // SIGHUP does not end a process that is about to serve
	"portico/cmd/portico/node"
)

// program joins the two halves.
var program = cli.Node{Serve: node.Serve, ServeDemo: node.ServeDemo, Check: node.Check}

func main() { os.Exit(cli.Run(os.Args[1:], os.Stdout, os.Stderr, program)) }
