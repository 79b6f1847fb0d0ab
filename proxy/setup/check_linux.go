package setup

import (
	"errors"
	"iter"
	"runtime"

	"golang.org/x/sys/unix"

	"portico/proxy/poll"
)

// Check returns why sign-in threads do not work here, or nil: the process may not use epoll, or coroutines do not stay
// on a locked thread.
func Check() error {
	if err := poll.Check(); err != nil {
		return err
	}
	stays := make(chan bool)
	go func() { stays <- coroutineStays(unix.Gettid) }()
	if !<-stays {
		return errors.New("coroutines leave the thread that their goroutine is locked to")
	}
	return nil
}

// coroutineStays says whether a coroutine runs on the thread of the locked goroutine that resumes it, each time.
func coroutineStays(thread func() int) bool {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	next, stop := iter.Pull(func(yield func(int) bool) {
		for yield(thread()) {
		}
	})
	defer stop()
	home := thread()
	for range 3 {
		runtime.Gosched() // another thread might take over now
		if at, _ := next(); at != home || thread() != home {
			return false
		}
	}
	return true
}
