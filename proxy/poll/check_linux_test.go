package poll

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestCheck(t *testing.T) {
	if err := Check(); err != nil {
		t.Errorf("event loops run here, and yet: %v", err)
	}
	for _, errno := range []unix.Errno{unix.ENOSYS, unix.EPERM, unix.EACCES, unix.EOPNOTSUPP} {
		if !Forbidden(fmt.Errorf("call: %w", errno)) {
			t.Errorf("%v is taken for a shortage", errno)
		}
	}
	for _, errno := range []unix.Errno{unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.EAGAIN} {
		if Forbidden(errno) {
			t.Errorf("%v is taken for a rule", errno)
		}
	}
}
