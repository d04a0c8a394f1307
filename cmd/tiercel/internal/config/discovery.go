package config

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// maxServices bounds the addresses of one discovery service.
const maxServices = 16

// parseServices reads addresses separated by commas, each host:port or a URL.
func parseServices(dst *[]string, v string) error {
	*dst = nil
	if v == "" {
		return nil
	}
	for _, address := range strings.Split(v, ",") {
		address = strings.TrimSpace(address)
		hostPort := address
		if u, err := url.Parse(address); err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" {
			if u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil {
				return fmt.Errorf("%q has more than a scheme, a host and a port; credentials are read from the environment variables of the service's own tools", u.Redacted())
			}
			hostPort = u.Host
		}
		if host, port, err := splitAddress(hostPort); err != nil || host == "" || port == 0 {
			return fmt.Errorf("%q is neither host:port nor http(s)://host:port", address)
		}
		*dst = append(*dst, strings.TrimSuffix(address, "/"))
	}
	if len(*dst) > maxServices {
		return fmt.Errorf("has %d addresses; at most %d are allowed", len(*dst), maxServices)
	}
	return nil
}

// discoveryName is what every service takes: a Kubernetes label is the strictest.
var discoveryName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

func parseName(dst *string, v string) error {
	if !discoveryName.MatchString(v) {
		return fmt.Errorf("%q must be 1 to 63 lower case letters, digits and hyphens, and neither begin nor end with a hyphen", v)
	}
	*dst = v
	return nil
}

// checkDiscovery finds settings that would be without effect.
func checkDiscovery(s *Server) []error {
	var problems []error
	d := &s.Discovery
	if d.Kind == "static" {
		if len(d.Address) > 0 {
			problems = append(problems, errors.New("discovery-address: is for --discovery etcd or consul; with static discovery name nodes with --join"))
		}
		if d.Found {
			problems = append(problems, errors.New("found: is for --discovery etcd, consul or kubernetes; with static discovery a node without --join founds a cluster by itself"))
		}
		return problems
	}
	if d.Kind == "kubernetes" && len(d.Address) > 0 {
		problems = append(problems, errors.New("discovery-address: kubernetes is asked as the pod's service account says; leave it out"))
	}
	if d.Kind == "consul" && len(d.Address) > 1 {
		problems = append(problems, fmt.Errorf("discovery-address: names %d Consul agents; name one, the agent of this machine", len(d.Address)))
	}
	if d.Found && len(s.Join) > 0 {
		problems = append(problems, errors.New("found and join: a node either founds a cluster or joins one; leave one out"))
	}
	return problems
}
