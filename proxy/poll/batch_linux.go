package poll

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// BatchSize is how many calls a Batch holds at most.
const BatchSize = 256

// Batch has the kernel receive and send on several sockets in one system call, by io_uring. None of the calls
// waits: each is over when Do returns. It belongs to one goroutine, except that another may make it.
type Batch struct {
	fd           int
	rings, calls []byte // memory shared with the kernel
	submitted    *uint32
	taken        *uint32 // by the kernel, of those submitted
	done, read   *uint32 // results that the kernel has written, and those that were read
	submitMask   uint32
	doneMask     uint32
	entries      []submission
	results      []completion
	memory       [BatchSize]*byte // of the calls: it stays where it is, and reachable
	queued       int
	tail         uint32 // of submitted
	outcomes     [BatchSize]int32
}

// submission is struct io_uring_sqe, as far as it is used.
type submission struct {
	opcode, flags uint8
	_             uint16
	fd            int32
	_             uint64
	addr          uint64
	len           uint32
	message       uint32 // flags of recv(2) and send(2)
	data          uint64
	_             [3]uint64
}

// completion is struct io_uring_cqe.
type completion struct {
	data   uint64
	result int32
	_      uint32
}

// ringParams is struct io_uring_params.
type ringParams struct {
	submitEntries, doneEntries, flags, cpu, idle, features, queue uint32
	_                                                             [3]uint32
	submit                                                        struct {
		head, tail, mask, entries, flags, dropped, array, _ uint32
		_                                                   uint64
	}
	done struct {
		head, tail, mask, entries, overflow, completions, flags, _ uint32
		_                                                          uint64
	}
}

const (
	opSend    = 26
	opReceive = 27

	featureOneMap  = 1 << 0 // both rings lie in one piece of memory, since Linux 5.4
	offsetRings    = 0
	offsetEntries  = 0x10000000
	enterGetEvents = 1
)

// NewBatch makes a batch, and tries it. Its error says what the kernel or its rules do not allow.
func NewBatch() (*Batch, error) {
	b := &Batch{fd: -1}
	err := b.setUp()
	if err == nil {
		err = b.try()
	}
	if err != nil {
		b.Release()
		return nil, fmt.Errorf("io_uring: %w", err)
	}
	return b, nil
}

func (b *Batch) setUp() error {
	var p ringParams
	fd, _, errno := syscall.RawSyscall(unix.SYS_IO_URING_SETUP, BatchSize, uintptr(unsafe.Pointer(&p)), 0)
	if errno != 0 {
		return os.NewSyscallError("io_uring_setup", errno)
	}
	b.fd = int(fd)
	if p.features&featureOneMap == 0 {
		return errors.ErrUnsupported
	}
	const access, kind = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	size := max(int(p.done.completions)+int(p.doneEntries)*int(unsafe.Sizeof(completion{})),
		int(p.submit.array)+int(p.submitEntries)*4)
	var err error
	if b.rings, err = unix.Mmap(b.fd, offsetRings, size, access, kind); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	size = int(p.submitEntries) * int(unsafe.Sizeof(submission{}))
	if b.calls, err = unix.Mmap(b.fd, offsetEntries, size, access, kind); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	at := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&b.rings[offset])) }
	b.taken, b.submitted, b.submitMask = at(p.submit.head), at(p.submit.tail), *at(p.submit.mask)
	b.read, b.done, b.doneMask = at(p.done.head), at(p.done.tail), *at(p.done.mask)
	b.entries = unsafe.Slice((*submission)(unsafe.Pointer(&b.calls[0])), p.submitEntries)
	b.results = unsafe.Slice((*completion)(unsafe.Pointer(at(p.done.completions))), p.doneEntries)
	for i, place := 0, unsafe.Slice(at(p.submit.array), p.submitEntries); i < len(place); i++ {
		place[i] = uint32(i)
	}
	return nil
}

// try makes a round trip over a pair of sockets, and receives where nothing is.
func (b *Batch) try() error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(pair[0])
	defer unix.Close(pair[1])
	memory := []byte{'x', 0}
	b.Send(int32(pair[0]), memory[:1])
	b.Receive(int32(pair[1]), memory[1:])
	b.Receive(int32(pair[1]), memory[1:])
	b.Do()
	for i, want := range []int32{1, 1, -int32(unix.EAGAIN)} {
		if got := b.outcomes[i]; got < 0 && got != want {
			return syscall.Errno(-got)
		} else if got != want {
			return errors.ErrUnsupported
		}
	}
	return nil
}

// Release frees what the batch has of the kernel.
func (b *Batch) Release() {
	if b.fd < 0 {
		return
	}
	unix.Munmap(b.rings)
	unix.Munmap(b.calls)
	unix.Close(b.fd)
	b.fd = -1
}

// Receive adds a recv(2). p is the kernel's until Do returns.
func (b *Batch) Receive(fd int32, p []byte) { b.add(opReceive, fd, p, unix.MSG_DONTWAIT) }

// Send adds a send(2). p must not change until Do returns.
func (b *Batch) Send(fd int32, p []byte) { b.add(opSend, fd, p, unix.MSG_DONTWAIT|unix.MSG_NOSIGNAL) }

func (b *Batch) add(opcode uint8, fd int32, p []byte, message uint32) {
	b.memory[b.queued] = unsafe.SliceData(p)
	b.entries[(b.tail+uint32(b.queued))&b.submitMask] = submission{
		opcode: opcode, fd: fd, addr: uint64(uintptr(unsafe.Pointer(b.memory[b.queued]))), len: uint32(len(p)),
		message: message, data: uint64(b.queued),
	}
	b.queued++
}

// Do makes the calls that were added since the last Do, in their order.
func (b *Batch) Do() {
	n := b.queued
	b.queued = 0
	b.tail += uint32(n)
	atomic.StoreUint32(b.submitted, b.tail)
	for left := n; left > 0; {
		waiting := b.tail - atomic.LoadUint32(b.taken)
		_, _, errno := syscall.RawSyscall6(unix.SYS_IO_URING_ENTER,
			uintptr(b.fd), uintptr(waiting), uintptr(left), enterGetEvents, 0, 0)
		left -= b.collect()
		switch errno {
		case 0, unix.EINTR:
		default: // the kernel is short of memory
			left -= b.takeBack()
		}
	}
}

// collect reads the results that are there, and returns how many.
func (b *Batch) collect() int {
	head, tail := *b.read, atomic.LoadUint32(b.done)
	for at := head; at != tail; at++ {
		c := &b.results[at&b.doneMask]
		b.outcomes[c.data] = c.result
	}
	atomic.StoreUint32(b.read, tail)
	return int(tail - head)
}

// takeBack makes the calls that the kernel has not taken one by one, and returns how many.
func (b *Batch) takeBack() int {
	taken := atomic.LoadUint32(b.taken)
	for at := taken; at != b.tail; at++ {
		s := &b.entries[at&b.submitMask]
		call := uintptr(unix.SYS_RECVFROM)
		if s.opcode == opSend {
			call = unix.SYS_SENDTO
		}
		done, _, errno := syscall.RawSyscall6(call,
			uintptr(s.fd), uintptr(s.addr), uintptr(s.len), uintptr(s.message), 0, 0)
		if b.outcomes[s.data] = int32(done); errno != 0 {
			b.outcomes[s.data] = -int32(errno)
		}
	}
	left := int(b.tail - taken)
	b.tail = taken
	atomic.StoreUint32(b.submitted, taken)
	return left
}

// Result returns what the call with this number, from 0 in the order in which they were added, has returned.
func (b *Batch) Result(call int) (n int, errno syscall.Errno) {
	if r := b.outcomes[call]; r < 0 {
		return 0, syscall.Errno(-r)
	}
	return int(b.outcomes[call]), 0
}
