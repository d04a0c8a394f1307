package config

import (
	"fmt"
	"net"
	"strconv"
	"strings"
)

// maxJoin bounds the addresses of one --join: a few are enough to find the rest.
const maxJoin = 64

// parseJoin reads addresses separated by commas, each with a port.
func parseJoin(dst *[]string, v string) error {
	*dst = nil
	if v == "" {
		return nil
	}
	for _, address := range strings.Split(v, ",") {
		address = strings.TrimSpace(address)
		host, port, err := net.SplitHostPort(address)
		n, portErr := strconv.ParseUint(port, 10, 16)
		if err != nil || portErr != nil || host == "" || n == 0 {
			return fmt.Errorf("%q is not host:port; name the --rpc addresses of nodes of the cluster, separated by commas", address)
		}
		*dst = append(*dst, address)
	}
	if len(*dst) > maxJoin {
		return fmt.Errorf("has %d addresses; at most %d are allowed", len(*dst), maxJoin)
	}
	return nil
}
