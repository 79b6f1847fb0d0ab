//go:build !unix

package bench

// raiseFiles does nothing on this system.
func raiseFiles(Options) error { return nil }
