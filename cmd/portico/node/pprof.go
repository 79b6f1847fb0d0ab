//go:build pprof

package node

import (
	"net/http"
	_ "net/http/pprof" // its pages
	"os"
)

// Built with the tag pprof, Portico shows developers where its time and memory go, at the address in PORTICO_PPROF and
// to everybody there. What is shipped is built without.
func init() { go http.ListenAndServe(os.Getenv("PORTICO_PPROF"), nil) }
