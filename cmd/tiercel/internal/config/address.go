package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
)

// parseListen takes host:port to listen on. The host may be empty (every
// address); port 0 picks a free one.
func parseListen(dst *string, v string) error {
	if _, _, err := splitAddress(v); err != nil {
		return err
	}
	*dst = v
	return nil
}

// parseAdvertise takes an address others can dial: a host and a real port.
func parseAdvertise(dst *string, v string) error {
	if v == "" {
		*dst = ""
		return nil
	}
	host, port, err := splitAddress(v)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); host == "" || err == nil && ip.IsUnspecified() {
		return fmt.Errorf("%q names no host that other nodes could reach", v)
	}
	if port == 0 {
		return fmt.Errorf("%q needs the port that other nodes reach, not 0", v)
	}
	*dst = v
	return nil
}

// parsePprof refuses all but loopback: profiles show memory contents.
func parsePprof(dst *string, v string) error {
	if v == "" {
		*dst = ""
		return nil
	}
	host, _, err := splitAddress(v)
	if err != nil {
		return err
	}
	if !isLoopback(host) {
		return fmt.Errorf("%q is not on loopback; profiles are served on 127.0.0.1 or localhost only", v)
	}
	*dst = v
	return nil
}

func splitAddress(v string) (host string, port int, err error) {
	host, portText, err := net.SplitHostPort(v)
	if err != nil {
		return "", 0, fmt.Errorf("%q is not host:port, such as 127.0.0.1:8880", v)
	}
	port, err = strconv.Atoi(portText)
	if err != nil || port < 0 || port > 65535 {
		return "", 0, fmt.Errorf("%q has no port between 0 and 65535", v)
	}
	return host, port, nil
}

// isLoopback reports whether only this machine can reach host. A name other
// than localhost may resolve to anything, so it does not count.
func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.Unmap().IsLoopback()
}

// checkAddresses refuses two listeners that ask for one address.
func checkAddresses(s *Server) []error {
	if _, port, err := splitAddress(s.HTTP); err == nil && port != 0 && s.HTTP == s.RPC {
		return []error{errors.New("http and rpc: both are " + s.HTTP + "; give each a port of its own")}
	}
	return nil
}
