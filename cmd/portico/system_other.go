//go:build !unix

package main

import "github.com/coreos/go-systemd/v22/daemon"

// descriptorLimit returns 0: no limit is known.
func descriptorLimit() uint64 { return 0 }

func reloadingState() string { return daemon.SdNotifyReloading }
