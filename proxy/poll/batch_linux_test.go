package poll

import (
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"portico/backend/backendtest/testkit"
)

// newBatch skips the test where io_uring is not allowed.
func newBatch(t *testing.T) *Batch {
	t.Helper()
	b, err := NewBatch()
	if err != nil {
		testkit.Barred(t, err)
	}
	t.Cleanup(b.Release)
	return b
}

func pair(t *testing.T) (near, far int32) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		unix.Close(fds[0])
		unix.Close(fds[1])
	})
	return int32(fds[0]), int32(fds[1])
}

func TestBatch(t *testing.T) {
	b := newBatch(t)
	near, far := pair(t)
	out, in := []byte("abcdef"), make([]byte, 16)
	for range 2*BatchSize/3 + 1 { // around the ring
		clear(in)
		b.Send(near, out[:3])
		b.Send(near, out[3:])
		b.Receive(far, in[:4])
		b.Receive(far, in[4:])
		b.Receive(far, in[4:])
		b.Receive(-1, in)
		b.Do()
		for i, want := range []struct {
			n     int
			errno syscall.Errno
		}{{3, 0}, {3, 0}, {4, 0}, {2, 0}, {0, unix.EAGAIN}, {0, unix.EBADF}} {
			if n, errno := b.Result(i); n != want.n || errno != want.errno {
				t.Fatalf("call %d: %d, %v; want %d, %v", i, n, errno, want.n, want.errno)
			}
		}
		if string(in[:6]) != "abcdef" {
			t.Fatalf("received %q", in[:6])
		}
	}
	b.Do() // of nothing
}

// A send that the socket has no room for takes what it can, and does not wait.
func TestBatchDoesNotWait(t *testing.T) {
	b := newBatch(t)
	near, far := pair(t)
	big := make([]byte, 4<<20)
	b.Send(near, big)
	b.Send(near, big)
	b.Do()
	first, errno := b.Result(0)
	if errno != 0 || first == 0 || first == len(big) {
		t.Fatalf("the first send: %d, %v", first, errno)
	}
	if n, errno := b.Result(1); errno != unix.EAGAIN {
		t.Errorf("the second send: %d, %v", n, errno)
	}
	unix.Shutdown(int(far), unix.SHUT_RDWR)
	b.Send(near, big)
	b.Receive(far, big)
	b.Do()
	if n, errno := b.Result(0); errno != unix.EPIPE { // and no signal
		t.Errorf("a send behind the end: %d, %v", n, errno)
	}
}

// What the kernel does not take into its queue is done call by call.
func TestBatchTakenBack(t *testing.T) {
	b := newBatch(t)
	near, far := pair(t)
	in := make([]byte, 2)
	for range 3 {
		b.Send(near, []byte("ab"))
		b.Receive(far, in)
		b.Receive(far, in)
		b.tail += uint32(b.queued)
		b.queued = 0
		if n := b.takeBack(); n != 3 {
			t.Errorf("%d calls were taken back", n)
		}
		for i, want := range []int32{2, 2, -int32(unix.EAGAIN)} {
			if b.outcomes[i] != want {
				t.Errorf("call %d: %d, want %d", i, b.outcomes[i], want)
			}
		}
		b.Send(near, []byte("c"))
		b.Receive(far, in)
		b.Do()
		if n, errno := b.Result(1); n != 1 || errno != 0 {
			t.Errorf("behind that: %d, %v", n, errno)
		}
	}
}

func TestFullBatch(t *testing.T) {
	b := newBatch(t)
	near, far := pair(t)
	all := make([]byte, BatchSize/2)
	for i := range all {
		all[i] = byte(i)
		b.Send(near, all[i:i+1])
	}
	got := make([]byte, len(all))
	for i := range got {
		b.Receive(far, got[i:i+1])
	}
	b.Do()
	if string(got) != string(all) {
		t.Errorf("received %v", got)
	}
}
