//go:build unix

package store

import (
	"os"
	"syscall"
	"testing"
)

func ownerOf(t *testing.T, path string) uint32 {
	t.Helper()
	info, err := os.Stat(path)
	wantErr(t, err, nil)
	return info.Sys().(*syscall.Stat_t).Uid
}
