package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestQuota_ListsAllPagesAndOneTenant(t *testing.T) {
	c := newCLI(t)
	c.server.Say("GET /quotas",
		said(`{"quotas":[{"tenant":"a","limit_bytes":2048,"used_bytes":1024,"reserved_bytes":512,"over_quota":false,"files":3,"forecast_full_at":"2026-03-04T05:06:07Z"},
		 {"tenant":"b","limit_bytes":100,"used_bytes":150,"reserved_bytes":0,"over_quota":true,"files":1,"forecast_full_at":null}],"next_cursor":"xyz"}`),
		said(`{"quotas":[{"tenant":"c","limit_bytes":null,"used_bytes":7,"files":1}],"next_cursor":""}`))
	assert.Equal(t, `TENANT LIMIT USED RESERVED SHARE FILES FULL
a 2.0 KiB 1.0 KiB 512 B 50.0% 3 2026-03-04T05:06:07Z
b 100 B 150 B 0 B 150.0% over 1 -
c none 7 B 0 B - 1 -`, lines(c.must("quota")))
	assert.Equal(t, "GET /quotas?cursor=xyz", c.server.Asked[1].Line)

	c.server.Say("GET /quotas", said(`{"quotas":[{"tenant":"c","limit_bytes":null,"used_bytes":7,"reserved_bytes":0,"over_quota":false,"files":1,"forecast_full_at":null}],"next_cursor":""}`))
	assert.JSONEq(t, `{"quotas":[{"tenant":"c","limit_bytes":null,"used_bytes":7,"reserved_bytes":0,"over_quota":false,"files":1,"forecast_full_at":null}]}`, c.must("quota", "list", "c", "-o", "json"))
	assert.Equal(t, "GET /quotas?tenant=c", c.server.Asked[2].Line)

	none := said(`{"quotas":[{"tenant":"nobody","limit_bytes":null,"used_bytes":0,"reserved_bytes":0,"over_quota":false,"files":0,"forecast_full_at":null}],"next_cursor":""}`)
	limited := said(`{"quotas":[{"tenant":"nobody","limit_bytes":0,"used_bytes":0,"reserved_bytes":0,"over_quota":false,"files":0,"forecast_full_at":null}],"next_cursor":""}`)
	c.server.Say("GET /quotas", none, none, limited)
	for _, output := range []string{"table", "json"} {
		o := c.run("quota", "list", "nobody", "-o", output)
		assert.Equal(t, exitFailed, o.status, output)
		assert.Empty(t, o.stdout, output)
		assert.Contains(t, o.stderr, "tenant nobody was not found", output)
		assert.Contains(t, o.stderr, "tiercel quota set nobody SIZE", output)
	}
	assert.Contains(t, c.must("quota", "list", "nobody"), "nobody", "a limit of nothing is one")
}

func TestQuota_SetsAndTakesAwayAndSaysWhatIsInForce(t *testing.T) {
	c := newCLI(t)
	c.server.Say("POST /quotas", said(`{"tenant":"a","limit_bytes":10737418240,"used_bytes":1024}`),
		said(`{"tenant":"a","limit_bytes":1000,"used_bytes":1524,"over_quota":true}`), said(`{"tenant":"a","limit_bytes":null,"used_bytes":1524}`))
	assert.Equal(t, "tenant a may store 10.0 GiB (10737418240 bytes); it uses 1.0 KiB\n", c.must("quota", "set", "a", "10GiB"))
	assert.Equal(t, "tenant a may store 1000 B (1000 bytes); it uses 1.5 KiB\nthat is 524 B over the limit: whatever raises it is refused\n", c.must("quota", "set", "a", "1kB"))
	assert.Equal(t, "tenant a has no limit; it uses 1.5 KiB\n", c.must("quota", "remove", "a"))
	var bodies []string
	for _, asked := range c.server.Asked {
		bodies = append(bodies, asked.Body)
	}
	assert.Equal(t, []string{`{"limit_bytes":10737418240,"tenant":"a"}`, `{"limit_bytes":1000,"tenant":"a"}`, `{"limit_bytes":null,"tenant":"a"}`}, bodies)

	for _, wrong := range [][]string{
		{"quota", "sett"}, {"quota", "set", "a"}, {"quota", "set", "a", "10G"}, {"quota", "set", "a", "-1"}, {"quota", "set", "A", "1"}, {"quota", "remove"}, {"quota", "list", "a", "b"},
	} {
		assert.Equal(t, exitUsage, c.run(wrong...).status, "%v", wrong)
	}
	assert.Len(t, c.server.Asked, 3, "nothing was asked of the server")
	for _, verb := range []string{"list", "set", "remove", "verify"} {
		assert.Contains(t, c.must("quota", verb, "--help"), "tiercel quota "+verb, "with an example")
	}
}

func TestQuota_VerifyFailsWhenSomethingIsCountedWrongly(t *testing.T) {
	c := newCLI(t)
	c.server.Say("POST /quotas/verify", said(`{"ok":true,"tenants":2,"files":7,"differences":[]}`),
		said(`{"ok":false,"tenants":2,"files":7,"differences":[{"tenant":"a","counted_bytes":5,"found_bytes":6,"counted_files":1,"found_files":2}]}`))
	assert.Equal(t, "7 files in 2 tenants were added up\n", c.must("quota", "verify"))
	o := c.run("quota", "verify")
	assert.Equal(t, exitFailed, o.status)
	assert.Contains(t, o.stdout, "tenant a: 5 bytes in 1 files are counted, its files are 6 bytes in 2")
	assert.Contains(t, o.stderr, "the usage of 1 tenant is not what the files come to")
}
