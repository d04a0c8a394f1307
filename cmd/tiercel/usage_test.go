package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestUsage_WrongCallsEndWithStatus2AndAHint(t *testing.T) {
	cases := []struct {
		line string
		want string
	}{
		{"", "a verb is missing"},
		{"frobnicate", `unknown command "frobnicate"`},
		{"pit", "put"},
		{"put", "SRC and DST wanted, no argument given"},
		{"put a", "SRC and DST wanted, 1 argument given"},
		{"put a dst", `must start with "/"`},
		{"put --teir 1 a /b", "unknown flag: --teir; did you mean --tier?"},
		{"put --tier 9 a /b", `--tier "9" is not 1 (critical), 2 (important) or 3 (rebuildable)`},
		{"put --meta novalue a /b", "is not NAME=VALUE"},
		{"put --meta bad:name=x a /b", "is not NAME=VALUE"},
		{"put --meta a=1 --meta A=2 a /b", "--meta a is given twice"},
		{"put --jobs 0 a /b", "--jobs 0 is not between 1 and 1024"},
		{"put --timeout 0s a /b", "--timeout 0s must be more than nothing"},
		{"put --timeout soon a /b", "soon"},
		{"put a b /c", "need a DST that ends in /"},
		{"get /a", "SRC and DST wanted"},
		{"get /a b c", `"c" is too much: only SRC and DST wanted`},
		{"get /a - -o json", "cannot take both"},
		{"ls relative", `"relative" is no path`},
		{"ls --limit -1", "less than nothing"},
		{"ls a b", `"b" is too much`},
		{"rm", "at least one PATH wanted"},
		{"rm /a/", "add -r"},
		{"rm -r /", "add --all"},
		{"mv /a", "FROM and TO wanted"},
		{"mv -r /a /a/b", "one is inside the other"},
		{"status now", `"now" is too much: no arguments are taken`},
		{"quota forecast", `unknown command "forecast" for "tiercel quota"; there are list, remove, set, verify`},
		{"status --output xml", `--output "xml" is neither table nor json`},
		{"status --server ftp://x", "must begin with http:// or https://"},
		{"ls --tenant Bad", "the tenant must be"},
		{"status --tenant acme", "'tiercel status' is not about the files of one tenant; leave it out"},
		{"config set a=1 --tenant acme", "'tiercel config set' is not about"},
		{"quota --tenant acme", "see 'tiercel quota list TENANT'"},
		{"quota list --tenant acme", "leave it out, and give TENANT without it"},
		{"quota set acme -1", `"-1" is less than nothing; 'tiercel quota remove TENANT' takes a limit away`},
		{"ls -1", `"-1" is less than nothing, and no flag`},
		{"version --output xml", "neither table nor json"},
		{"fsck --jobs 0", "--jobs 0"},
		{"rebalance now", `"now" is too much`},
		{"rebalance --limit 50Q", `--limit: "50Q" is not a size`},
		{"rebalance --limit 0", "--limit must be more than nothing"},
		{"rebalance --dry-run --watch", "--dry-run starts nothing"},
		{"rebalance --watch --every 1ms", "--every 1ms is too often"},
		{"rebalance --output xml", "neither table nor json"},
		{"jobs --kind foo", "--kind \"foo\" is none of repair"},
		{"jobs --state finished", "running, paused, done, cancelled"},
		{"jobs abc", "'tiercel jobs' lists them"},
		{"jobs pause 0", "is not the number of a job"},
		{"dev --nodes abc", "--nodes \"abc\" is not a number"},
		{"quota set A_ 10", "TENANT \"A_\": the tenant must"},
		{"scrub --limt 5", "unknown flag: --limt; did you mean --limit?"},
		{"drain", "one WORKER wanted, no argument given"},
		{"drain n-1 --dry-run --cancel", "only one of --dry-run, --cancel and --watch"},
		{"drain n-1 --cancel --watch", "only one of --dry-run, --cancel and --watch"},
		{"jobs 1 2", `"2" is too much`},
		{"jobs 1 --kind repair", "--kind and --state choose from the list"},
		{"jobs pause", "one ID wanted, no argument given"},
		{"tier show 4", `TIER "4" is not 1 (critical)`},
		{"tier set 1", "nothing to change: give --copies"},
		{"tier set 1 --copies many", `--copies "many" is neither a number nor the word default`},
		{"tier set x --copies 1", `TIER "x" is not 1`},
		{"explain", "one PATH wanted"},
		{"explain a", `must start with "/"`},
		{"explain /a --size big", `--size: "big" is not a size`},
		{"explain /a --tier 9", `--tier "9" is not 1 (critical)`},
		{"config set", "at least one KEY=VALUE wanted"},
		{"config set automatic", `"automatic" is not KEY=VALUE`},
		{"config set a=1 a=2", "a is given twice"},
		{"config set a.b=1 a=2", "a and a key below it cannot both be set"},
		{"config set a=1 a.b=2", "a.b and a key above it cannot both be set"},
		{"config set scrub_bytes_per_second=fast", `"fast" is not a size`},
		{"bench pit", `"pit" is no workload; did you mean put?`},
		{"bench everything", `"everything" is no workload; there are put, get, mixed, delete`},
		{"bench --size big", `--size: "big" is not a size`},
		{"bench --size 6TiB", "--size 6TiB is more than a file may have"},
		{"bench --tier 9", `--tier "9" is not 1 (critical)`},
		{"bench --connections 0", "--connections 0 is not between 1 and 1024"},
		{"bench --connections 2000", "--connections 2000 is not between 1 and 1024"},
		{"bench --duration 0s", "--duration 0s must be more than nothing"},
		{"bench --duration 1s --requests 5", "only one of --duration and --requests"},
		{"bench --requests 0", "--requests 0 must be at least 1"},
		{"bench --files -1", "--files -1 must be at least 1"},
		{"bench --prefix tmp", `--prefix "tmp" is no directory: the path must start with "/"`},
		{"bench --prefix /a/../b", `--prefix "/a/../b" is no directory`},
		{"bench --tenant Bad", "the tenant must be"},
		{"bench --output xml", "neither table nor json"},
		{"bench --tls-cert nowhere", "--tls-cert and --tls-key: give both or none"},
		{"server extra", `"extra" is too much`},
		{"server --joined a:1", "unknown flag: --joined"},
		{"server --join a", "is not host:port"},
		{"sim --nodes 99", "it must be 1 to 50"},
		{"sim --faults earthquake", "there are: kill"},
		{"server --tls-cert f", "tls-cert and tls-key: give both or none"},
		{"server --tls-ca f", "give --tls-cert and --tls-key"},
		{"server --http 0.0.0.0:80", "without authentication (--auth-tokens FILE"},
		{"server --http 0.0.0.0:80 --auth-tokens f", "without TLS (--tls-cert and --tls-key FILE"},
		{"server --http 0.0.0.0:80 --tls-cert f --tls-key f", "without authentication (--auth-tokens FILE"},
		{"server --rpc 0.0.0.0:80 --tls-cert f --tls-key f", "without mutual TLS (--tls-cert, --tls-key and --tls-ca FILE"},
		{"token", "a verb is missing"},
		{"token create --name a --role root --cluster", `"root" is not one of read-only`},
		{"token create --name a --role admin", "give either --tenant TENANT"},
		{"token create --name a --role admin --cluster --tenant b", "or --cluster"},
		{"token create --name a --role admin --cluster --expires yesterday", "nor how long from now"},
		{"token create --name a --role admin --cluster --expires 2001-01-01", "is over already"},
		{"token revoke", "one NAME wanted"},
		{"certs", "a verb is missing"},
		{"certs node", "one NAME wanted"},
		{"certs node a/b", `the name "a/b" must be`},
		{"certs node a --days 9999", "1 to 825 are allowed"},
		{"certs node a --names https://x", "is neither an address nor a host name"},
		{"certs node a --names ,", "0 host names and addresses are given"},
		{"status --tls-ca nowhere", "--tls-ca: "},
		{"status --tls-cert nowhere", "--tls-cert and --tls-key: give both or none"},
		{"status --tls-cert nowhere --tls-key nowhere", "nowhere and nowhere cannot be used"},
		{"server --tls-client-auth require", "require needs --tls-ca"},
		{"certs client", "one NAME wanted"},
		{"server --datadir x", "unknown flag: --datadir; did you mean --data-dir?"},
		{"server --http nowhere --disk-type tape", "2 problems in the configuration"},
		{"server --http 0.0.0.0:80", "add --insecure"},
		{"server --pprof 0.0.0.0:80", "profiles are served on 127.0.0.1"},
	}
	for _, c := range cases {
		t.Run(c.line, func(t *testing.T) {
			cli := newCLI(t)
			o := cli.run(strings.Fields(c.line)...)
			assert.Equal(t, exitUsage, o.status)
			assert.Contains(t, o.stderr, c.want)
			assert.Contains(t, o.stderr, "--help", "a hint")
			begins := "tiercel: "
			if strings.HasSuffix(c.line, " json") {
				begins = `{"error":{"code":"invalid_argument",`
			}
			assert.True(t, strings.HasPrefix(o.stderr, begins), o.stderr)
			assert.NotContains(t, o.stderr, "wrong usage")
			assert.Empty(t, o.stdout)
			assert.Empty(t, cli.server.Requests)
		})
	}
}

func TestHelp_EveryVerbShowsAnExample(t *testing.T) {
	c := newCLI(t)
	verbs := []string{"server", "put", "get", "ls", "rm", "mv", "cp", "status", "fsck", "version",
		"rebalance", "jobs", "drain", "scrub", "replication", "tier", "config", "explain", "token", "certs", "bench"}
	overview := c.must("--help")
	for _, verb := range verbs {
		assert.Contains(t, overview, "\n  "+verb+" ")
		help := c.must(verb, "--help")
		assert.Contains(t, help, "Examples:\n  ", verb)
		assert.Contains(t, help, "tiercel "+verb, verb)
	}
	assert.Contains(t, c.must("completion", "bash"), "tiercel")
}
