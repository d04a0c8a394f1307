package config

import (
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"
)

// Server is what `tiercel server` was asked to be, checked.
type Server struct {
	DataDir   string   // not empty
	HTTP      string   // host:port; port 0 picks a free one
	RPC       string   // host:port; port 0 picks a free one
	Advertise string   // host:port for other nodes; empty: RPC as bound
	Join      []string // rpc addresses of nodes of the cluster to join; none: found one
	Discovery Discovery
	DiskType  string // auto, nvme, ssd, hdd
	DC        string // label; may be empty
	Rack      string // label; may be empty
	Host      string // label; empty: the machine's id
	Capacity  int64  // bytes the node may use; 0: auto, what the file system has

	HeartbeatInterval       time.Duration
	MasterHeartbeatInterval time.Duration
	JournalInterval         time.Duration
	License                 string // file with a signed licence; empty: none
	Failover                bool   // voters may be more than one; counts when a cluster is founded

	LogLevel  slog.Level
	LogFormat string // text, json
	Pprof     string // host:port on loopback; empty: off
	Insecure  bool   // listen beyond loopback without authentication and TLS
	Access
}

// Access says who may speak to the node and how it shows who it is; each a path, empty: none.
type Access struct {
	AuthTokens string // bearer tokens
	TLSCert    string // of this node, for HTTP, and with TLSCA for other nodes
	TLSKey     string
	TLSCA      string // authorities of the other nodes' certificates
	TLSClients string // none, require: a certificate of TLSCA from clients of HTTP, beside the token
}

// Discovery says how this node finds addresses of others, beside Join.
type Discovery struct {
	Kind    string   // static: by Join alone; etcd, consul, kubernetes
	Address []string // of the service; none: its default
	Name    string   // the nodes of one cluster register under it
	Found   bool     // found a cluster when nobody is registered yet
}

// Limits of the intervals (DESIGN "Worker health", "Master election").
const (
	minHeartbeat       = 50 * time.Millisecond
	maxHeartbeat       = time.Hour
	maxMasterHeartbeat = time.Minute
	minJournal         = 100 * time.Millisecond
	maxJournal         = time.Hour
	minCapacity        = 64 << 20 // below this not even one volume per tier fits
	maxLabelBytes      = 128
)

// A setting is one flag, one environment variable and one key of the file, all
// of the same name. Its value is text until parse has judged it, so that a bad
// value anywhere is reported like every other problem.
type setting struct {
	name, value, usage string // value: the default
	boolean            bool
	parse              func(s *Server, value string) error
}

var settings = []setting{
	{name: "data-dir", value: "./tiercel-data", usage: "`DIR` that holds everything the node keeps, its audit log too (audit/)",
		parse: func(s *Server, v string) error { return parseDir(&s.DataDir, v) }},
	{name: "http", value: "127.0.0.1:8880", usage: "`HOST:PORT` of the HTTP API; port 0 picks a free one",
		parse: func(s *Server, v string) error { return parseListen(&s.HTTP, v) }},
	{name: "rpc", value: "127.0.0.1:8892", usage: "`HOST:PORT` for other nodes; port 0 picks a free one",
		parse: func(s *Server, v string) error { return parseListen(&s.RPC, v) }},
	{name: "advertise", usage: "`HOST:PORT` at which other nodes reach this one (default: as --rpc is bound)",
		parse: func(s *Server, v string) error { return parseAdvertise(&s.Advertise, v) }},
	{name: "join", usage: "`HOST:PORT,…` rpc addresses of nodes of the cluster to join; only hints once this node belongs to it",
		parse: func(s *Server, v string) error { return parseJoin(&s.Join, v) }},
	{name: "discovery", value: "static", usage: "`HOW` nodes find each other: static (by --join), etcd, consul or kubernetes",
		parse: func(s *Server, v string) error {
			return parseOneOf(&s.Discovery.Kind, v, "static", "etcd", "consul", "kubernetes")
		}},
	{name: "discovery-address", usage: "`HOST:PORT,…` or URLs of etcd, or of the Consul agent (default: on this machine, its usual port)",
		parse: func(s *Server, v string) error { return parseServices(&s.Discovery.Address, v) }},
	{name: "discovery-name", value: "tiercel", usage: "`NAME` under which the nodes of one cluster register",
		parse: func(s *Server, v string) error { return parseName(&s.Discovery.Name, v) }},
	{name: "found", value: "false", boolean: true, usage: "with discovery: found a new cluster if nobody is registered; for exactly one node",
		parse: func(s *Server, v string) error { return parseBool(&s.Discovery.Found, v) }},
	{name: "failover", value: "true", boolean: true, usage: "let three or five nodes vote, so that a dead master is replaced; counts when a cluster is founded",
		parse: func(s *Server, v string) error { return parseBool(&s.Failover, v) }},
	{name: "license", usage: "`FILE` with a signed licence; a new cluster begins with it; the cluster of a node that was taken in takes it if it is newer than its own",
		parse: func(s *Server, v string) error { s.License = v; return nil }},
	{name: "disk-type", value: "auto", usage: "`TYPE` of the disk: auto, nvme, ssd or hdd",
		parse: func(s *Server, v string) error { return parseOneOf(&s.DiskType, v, "auto", "nvme", "ssd", "hdd") }},
	{name: "dc", usage: "`LABEL` of the datacenter; below the licence level enterprise it is the same for all nodes of a cluster",
		parse: func(s *Server, v string) error { return parseLabel(&s.DC, v) }},
	{name: "rack", usage: "`LABEL` of the rack",
		parse: func(s *Server, v string) error { return parseLabel(&s.Rack, v) }},
	{name: "host", usage: "`LABEL` of the failure domain (default: the machine's id)",
		parse: func(s *Server, v string) error { return parseLabel(&s.Host, v) }},
	{name: "capacity", value: "auto", usage: "`BYTES` the node may use, such as 500GiB; auto: what the file system has",
		parse: func(s *Server, v string) error { return parseCapacity(&s.Capacity, v) }},
	{name: "heartbeat-interval", value: "30s", usage: "`DURATION` between a worker's heartbeats, 50ms to 1h",
		parse: func(s *Server, v string) error {
			return parseInterval(&s.HeartbeatInterval, v, minHeartbeat, maxHeartbeat)
		}},
	{name: "master-heartbeat-interval", value: "500ms", usage: "`DURATION` between voters' heartbeats, 50ms to 1m",
		parse: func(s *Server, v string) error {
			return parseInterval(&s.MasterHeartbeatInterval, v, minHeartbeat, maxMasterHeartbeat)
		}},
	{name: "journal-interval", value: "2s", usage: "`DURATION` between two pieces of the commit journal that 'tiercel recover' reads, 100ms to 1h; counts on the master",
		parse: func(s *Server, v string) error {
			return parseInterval(&s.JournalInterval, v, minJournal, maxJournal)
		}},
	{name: "log-level", value: "info", usage: "least `LEVEL` that is logged: debug, info, warn or error",
		parse: func(s *Server, v string) error { return parseLevel(&s.LogLevel, v) }},
	{name: "log-format", value: "text", usage: "`FORMAT` of the log on standard error: text or json",
		parse: func(s *Server, v string) error { return parseOneOf(&s.LogFormat, v, "text", "json") }},
	{name: "pprof", usage: "`HOST:PORT` on loopback for profiles under /debug/pprof/ (default: off)",
		parse: func(s *Server, v string) error { return parsePprof(&s.Pprof, v) }},
	{name: "auth-tokens", usage: "`FILE` of bearer tokens, made by 'tiercel token create'; every request needs one then",
		parse: func(s *Server, v string) error { return parsePath(&s.AuthTokens, v) }},
	{name: "tls-cert", usage: "`FILE` with the certificate of this node, PEM, made by 'tiercel certs node'; HTTP speaks TLS then",
		parse: func(s *Server, v string) error { return parsePath(&s.TLSCert, v) }},
	{name: "tls-key", usage: "`FILE` with the key of --tls-cert, PEM",
		parse: func(s *Server, v string) error { return parsePath(&s.TLSKey, v) }},
	{name: "tls-ca", usage: "`FILE` with the authority of the cluster, PEM; nodes then speak TLS and show each other their certificates",
		parse: func(s *Server, v string) error { return parsePath(&s.TLSCA, v) }},
	{name: "tls-client-auth", value: "none", usage: "`WHAT` clients of HTTP show beside a token: none, or require for a certificate of --tls-ca, probes too",
		parse: func(s *Server, v string) error { return parseOneOf(&s.TLSClients, v, "none", "require") }},
	{name: "insecure", value: "false", boolean: true, usage: "allow listening beyond loopback without authentication and TLS",
		parse: func(s *Server, v string) error { return parseBool(&s.Insecure, v) }},
}

// names lists the known settings, in the table's order.
func names() []string {
	out := make([]string, len(settings))
	for i, s := range settings {
		out[i] = s.name
	}
	return out
}

func parseDir(dst *string, v string) error {
	if v == "" {
		return errors.New("must name a directory")
	}
	if strings.ContainsRune(v, 0) {
		return errors.New("must not contain a NUL byte")
	}
	*dst = v
	return nil
}

func parseOneOf(dst *string, v string, allowed ...string) error {
	for _, a := range allowed {
		if v == a {
			*dst = v
			return nil
		}
	}
	return fmt.Errorf("%q is not one of %s", v, strings.Join(allowed, ", "))
}

func parseLabel(dst *string, v string) error {
	if len(v) > maxLabelBytes {
		return fmt.Errorf("has %d bytes; at most %d are allowed", len(v), maxLabelBytes)
	}
	for _, r := range v {
		if r <= ' ' || r > '~' {
			return fmt.Errorf("%q has a character other than printable ASCII without spaces", v)
		}
	}
	*dst = v
	return nil
}

func parseCapacity(dst *int64, v string) error {
	if v == "auto" {
		*dst = 0
		return nil
	}
	n, err := ParseBytes(v)
	if err != nil {
		return err
	}
	if n < minCapacity {
		return fmt.Errorf("%q is too small; the least is %s", v, FormatBytes(minCapacity))
	}
	*dst = n
	return nil
}

func parseInterval(dst *time.Duration, v string, least, most time.Duration) error {
	d, err := time.ParseDuration(v)
	if err != nil {
		return fmt.Errorf("%q is not a duration; write it with its unit, such as 500ms, 30s or 5m", v)
	}
	if d < least || d > most {
		return fmt.Errorf("%s is out of range; allowed is %s to %s", v, least, most)
	}
	*dst = d
	return nil
}

func parseLevel(dst *slog.Level, v string) error {
	var word string
	if err := parseOneOf(&word, v, "debug", "info", "warn", "error"); err != nil {
		return err
	}
	return dst.UnmarshalText([]byte(word))
}

func parseBool(dst *bool, v string) error {
	b, err := strconv.ParseBool(v)
	if err != nil {
		return fmt.Errorf("%q is neither true nor false", v)
	}
	*dst = b
	return nil
}
