//go:build unix

package store

import (
	"fmt"
	"os"
	"syscall"
	"testing"
)

func ownerOf(t *testing.T, path string) string {
	t.Helper()
	info, err := os.Stat(path)
	wantErr(t, err, nil)
	owner := info.Sys().(*syscall.Stat_t)
	return fmt.Sprintf("%d:%d", owner.Uid, owner.Gid)
}
