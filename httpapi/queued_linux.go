package httpapi

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// queued is how many bytes written to c the client's kernel has not confirmed, noProgress
// when that cannot be known. Linux wakes who waits to write only once a third of the send
// buffer is free, which may be more than a megabyte: a slow client can take bytes for
// minutes without one write getting on.
func queued(c net.Conn) int {
	socket, ok := c.(syscall.Conn)
	if !ok {
		return noProgress
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return noProgress
	}
	n := noProgress
	if err := raw.Control(func(fd uintptr) {
		if q, err := unix.IoctlGetInt(int(fd), unix.SIOCOUTQ); err == nil {
			n = q
		}
	}); err != nil {
		return noProgress
	}
	return n
}
