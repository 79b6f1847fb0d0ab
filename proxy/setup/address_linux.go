package setup

import (
	"encoding/binary"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readRawAddress converts an address from the kernel's form. It returns the zero value if it is no Internet address.
func readRawAddress(raw *unix.RawSockaddrAny) netip.AddrPort {
	switch raw.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(raw))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), portOf(&in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(raw))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr).Unmap(), portOf(&in.Port))
	}
	return netip.AddrPort{}
}

// portOf reads a port in network byte order; putPort writes one.
func portOf(port *uint16) uint16 { return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(port))[:]) }
func putPort(port *uint16, p uint16) {
	binary.BigEndian.PutUint16((*[2]byte)(unsafe.Pointer(port))[:], p)
}

// rawAddress converts an address to the kernel's form, and returns its size too.
func rawAddress(a netip.AddrPort) (raw unix.RawSockaddrAny, size uint32) {
	if addr := a.Addr(); addr.Is4() || addr.Is4In6() {
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(&raw))
		in.Family, in.Addr = unix.AF_INET, addr.As4()
		putPort(&in.Port, a.Port())
		return raw, unix.SizeofSockaddrInet4
	}
	in := (*unix.RawSockaddrInet6)(unsafe.Pointer(&raw))
	in.Family, in.Addr = unix.AF_INET6, a.Addr().As16()
	putPort(&in.Port, a.Port())
	return raw, unix.SizeofSockaddrInet6
}

// addressCall is connect(2) or bind(2) of a non-blocking socket, and switchOn is setsockopt(2) with 1. They do not tell
// the Go scheduler: during a long connect it would give the thread's processor away, which takes longer.
func addressCall(call uintptr, fd int, a netip.AddrPort) syscall.Errno {
	raw, size := rawAddress(a)
	_, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&raw)), uintptr(size))
	return errno
}

func switchOn(fd, level, option int) syscall.Errno {
	one := int32(1)
	_, _, errno := syscall.RawSyscall6(syscall.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(option),
		uintptr(unsafe.Pointer(&one)), unsafe.Sizeof(one), 0)
	return errno
}
