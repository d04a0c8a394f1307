package httpapi

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/messages"
)

func standardLicense() *messages.LicenseInfo {
	return &messages.LicenseInfo{
		Level: "standard", State: "active", MaxWorkers: 2, Workers: 1, Warnings: []string{"it ends soon"},
		License: &messages.LicenseRow{
			Id: "l-1", Customer: "Example", Level: "standard", IssuedUnixMs: 1772600767089, ExpiresUnixMs: 1772700767089, InstalledUnixMs: 1772600768000, Key: "0011", Development: true, Cluster: "c-1",
		},
		Features: []*messages.LicenseFeature{
			{Name: "data_workers", Granted: true}, {Name: "storage_clustering", Granted: true}, {Name: "tiered_replication", Granted: true, Tiers: []uint32{2, 3}},
			{Name: "synchronous_replication"}, {Name: "auto_rebalancing", Level: "enterprise"},
		},
	}
}

func TestLicense_IsShownAndInstalled(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.license = standardLicense()
	doc, _ := readDocument(t)
	want := `{"level":"standard","state":"active","id":"l-1","customer":"Example","licensed_level":"standard","issued_at":"2026-03-04T05:06:07Z","expires_at":"2026-03-05T08:52:47Z",
	 "installed_at":"2026-03-04T05:06:08Z","development":true,"key":"0011","cluster":"c-1","max_workers":2,"workers":1,
	 "features":{"data_workers":2,"storage_clustering":true,"tiered_replication":[2,3],"synchronous_replication":false,"auto_rebalancing":false},"warnings":["it ends soon"]}`
	r := w.do("GET", storageURL+"/license", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, want, string(r.body))
	assertDescribed(t, doc, "License", r.body)

	r = w.do("PUT", storageURL+"/license", bodyOf("TIERCEL LICENSE 1\nand so on\n"))
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, want, string(r.body))
	assert.Equal(t, []string{"license", "install TIERCEL LICENSE 1\nand so on\n"}, w.gw.asked, "the text goes on as it came")

	e := wantError(t, w.do("PUT", storageURL+"/license", bodyOf("something else")), 400, "invalid_argument")
	assert.Equal(t, "license_malformed", e.Error.Details["reason"])
	e = wantError(t, w.do("PUT", storageURL+"/license", bodyOf(strings.Repeat("x", maxLicenseBytes+1))), 413, "too_large")
	assert.Equal(t, "license_too_long", e.Error.Details["reason"])
	wantError(t, w.do("PUT", storageURL+"/license?force=1", bodyOf("TIERCEL")), 400, "invalid_argument")
}

func TestLicense_AClusterWithoutOneIsFree(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.license = &messages.LicenseInfo{Level: "free", State: "none", MaxWorkers: 1, Workers: 1}
	r := w.do("GET", storageURL+"/license", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.Contains(t, string(r.body), `"level":"free","state":"none","id":null,"customer":null`)
	assert.Contains(t, string(r.body), `"cluster":null`)
}

func TestLicense_IsPartOfTheStatus(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.status = func() (*messages.ClusterStatusReply, error) {
		return &messages.ClusterStatusReply{Cluster: &messages.ClusterRow{ClusterId: "c-1"}, State: "healthy", License: standardLicense()}, nil
	}
	r := w.do("GET", clusterURL+"/status", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	var s struct {
		License struct {
			Level     string         `json:"level"`
			ExpiresAt string         `json:"expires_at"`
			Features  map[string]any `json:"features"`
		}
		Unknown []string
	}
	require.NoError(t, json.Unmarshal(r.body, &s))
	assert.Equal(t, "standard", s.License.Level)
	assert.Equal(t, "2026-03-05T08:52:47Z", s.License.ExpiresAt)
	assert.Empty(t, s.License.Features, "those are in GET /license")
	assert.NotContains(t, s.Unknown, "license")
}

func TestReceipt_SaysThatTheLicenceIsWhyThereAreFewerCopies(t *testing.T) {
	text := func(licensed, wanted uint32) string {
		r := receipt{path: "/a", row: &messages.FileRow{Tier: 1}, wanted: wanted, volumes: []*messages.VolumeRow{{Id: 1, Tier: 1, State: messages.VolumeState_OPEN, LicensedCopies: licensed, Members: []*messages.VolumeMember{{Node: "n-1"}}}}}
		return string(r.append(nil))
	}
	assert.Contains(t, text(1, 3), `"copies_wanted":3,"copies_durable":1,"limited_by":"license"}`)
	assert.NotContains(t, text(0, 3), "limited_by")
	assert.NotContains(t, text(1, 1), "limited_by", "one copy is what the tier wants")
}
