//go:build !linux

package admin

import "testing"

func becomeForGood(int, int) {}

func ask(t *testing.T, _, _, _ string) string {
	t.Skip("credentials of sockets are asked for on Linux alone")
	return ""
}
