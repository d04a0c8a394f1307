package httpapi

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

func TestTiers_AreShownWithTheirDefaultsFilledIn(t *testing.T) {
	w := inMemory(t, Config{})
	r := w.do("GET", storageURL+"/tiers", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, `{"tiers":[
	 {"id":1,"name":"critical","replication":"sync","copies":3,"consistency":"strong","min_copies":2,"disk_preference":"ssd","prefixes":["/models/"],"suffixes":[".emm"],
	  "defaults":["copies","min_copies","disk_preference"],"files":2,"logical_bytes":142},
	 {"id":2,"name":"important","replication":"async","copies":2,"consistency":"eventual","min_copies":1,"disk_preference":"any","prefixes":["/audit/"],"suffixes":[],
	  "defaults":["copies","min_copies","disk_preference"],"files":0,"logical_bytes":0},
	 {"id":3,"name":"rebuildable","replication":"async","copies":2,"consistency":"best_effort","min_copies":2,"disk_preference":"any","prefixes":["/tmp/"],"suffixes":[],
	  "defaults":[],"files":null,"logical_bytes":null}]}`, string(r.body))
}

func TestTierConfig_ReplacesWhatIsGivenAndKeepsTheRest(t *testing.T) {
	w := inMemory(t, Config{})
	doc, _ := readDocument(t)
	r := w.do("PUT", storageURL+"/tiers/3/config", strings.NewReader(`{"copies":1,"min_copies":null,"prefixes":["/tmp/","/cache/"]}`))
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, `{"id":3,"name":"rebuildable","replication":"none","copies":1,"consistency":"best_effort","min_copies":1,"disk_preference":"any",
	 "prefixes":["/tmp/","/cache/"],"suffixes":[],"defaults":["min_copies"],"files":null,"logical_bytes":null,"job_id":"21","warnings":["too few hosts"]}`, string(r.body))
	assertDescribed(t, doc, "TierInfo", r.body)
}

func TestTierConfig_SaysWhatWasAskedForByName(t *testing.T) {
	for body, asked := range map[string][2]bool{ // copies, disk
		`{"copies":3,"min_copies":1}`:              {true, false},
		`{"copies":3,"min_copies":2}`:              {true, false},
		`{"min_copies":2}`:                         {true, false},
		`{"copies":1,"min_copies":null}`:           {false, false},
		`{"copies":null,"disk_preference":null}`:   {false, false},
		`{"prefixes":["/more/"]}`:                  {false, false},
		`{"disk_preference":"ssd","copies":null}`:  {false, true},
		`{"disk_preference":"hdd","min_copies":2}`: {true, true},
	} {
		w := inMemory(t, Config{})
		r := w.do("PUT", storageURL+"/tiers/1/config", strings.NewReader(body))
		require.Equal(t, 200, r.status, "%s: %s", body, r.body)
		assert.Equal(t, asked, [2]bool{w.gw.tierAsked.CopiesAsked, w.gw.tierAsked.DiskAsked}, body)
	}
}

func TestTierConfig_EveryWayToAskWrongly(t *testing.T) {
	for _, c := range []struct {
		tier, body string
		status     int
		want       []string
	}{
		{"4", `{}`, 404, []string{"there is no tier"}},
		{"1", `{"copys":3}`, 400, []string{`copys: unknown field; did you mean "copies"?`}},
		{"1", `{"copies":0}`, 400, []string{"copies: must be a whole number from 1 to 16, not 0"}},
		{"1", `{"copies":17,"min_copies":"2","prefixes":"/a/","disk_preference":"tape","zzz":1}`, 400, []string{
			"5 problems, nothing was changed", "copies: must be", "min_copies: must be", `prefixes: must be a list of strings, not "/a/"`, `any, nvme, ssd, hdd, not "tape"`, "zzz: unknown field; known are",
		}},
		{"1", `{"copies":2,"min_copies":3}`, 400, []string{"min_copies: 3 is more than the 2 copies"}},
		{"2", `{"min_copies":3}`, 400, []string{"3 is more than the 2 copies that the tier wants"}},
		{"1", `{"copies":0,"min_copies":3}`, 400, []string{"^copies: must be a whole number from 1 to 16, not 0$"}},
		{"1", `{"prefixes":["/tmp/","/audit/"]}`, 400, []string{`"/tmp/" belongs to tier 3 (rebuildable)`, `"/audit/" belongs to tier 2 (important)`}},
		{"3", `{"suffixes":[".emm"]}`, 400, []string{`".emm" belongs to tier 1 (critical)`}},
		{"1", `{"prefixes":["models/","/a/../b","","/x/","/x/",7]}`, 400, []string{`a prefix begins with "/"`, `".." segment`, `"/x/" is given twice`, "must hold strings only, not 7"}},
		{"1", `{"suffixes":["","a/b","\u0000"]}`, 400, []string{"is not empty", `without "/"`, "no file name ends so"}},
		{"1", `{"copies":{}}`, 400, []string{"not an object"}},
		{"1", `{"copies":1,"copies":2}`, 400, []string{"given twice"}},
		{"1", ``, 400, []string{"one JSON object"}},
		{"1", `{"prefixes":[[[[[[[[[]]]]]]]]]}`, 400, []string{"nested deeper"}},
	} {
		w := inMemory(t, Config{})
		r := w.do("PUT", storageURL+"/tiers/"+c.tier+"/config", strings.NewReader(c.body))
		e := wantError(t, r, c.status, map[int]string{400: "invalid_argument", 404: "not_found"}[c.status])
		for _, want := range c.want {
			if all, whole := strings.CutPrefix(want, "^"); whole {
				assert.Equal(t, strings.TrimSuffix(all, "$"), e.Error.Message, c.body)
				continue
			}
			assert.Contains(t, e.Error.Message, want, c.body)
		}
		assert.NotContains(t, w.gw.asked, "change tier", "nothing was changed")
	}
}

const configText = `{"version":12,"background_bytes_per_second":0,"node_background_bytes_per_second":0,"scrub_bytes_per_second":8388608,
 "placement":{"weights":{"free_capacity":0.4,"disk_type":0.3,"io_load":0.2,"latency":0.1}},"disk":{"warn_used_share":0.8,"full_used_share":0.9,"read_only_used_share":0.97},
 "compaction":{"dead_share":0.3,"merge_below_bytes":67108864},"rebalance":{"spread":0.1,"automatic":true},"quota":{"counts_copies":false}}`

func TestReceipt_NamesTheCopiesThatTheTiersRowWants(t *testing.T) {
	w := inMemory(t, Config{})
	assert.Contains(t, string(w.put("/a", []byte("x")).body), `"copies_wanted":3`, "by the replication factor")
	w.gw.wanted = 5
	assert.Contains(t, string(w.put("/a", []byte("x")).body), `"copies_wanted":5`)
	assert.Contains(t, string(w.get("/a?receipt").body), `"copies_wanted":5`)
}

func TestConfig_IsShownWhole(t *testing.T) {
	w := inMemory(t, Config{})
	doc, _ := readDocument(t)
	r := w.do("GET", clusterURL+"/config", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, configText, string(r.body))
	assert.Equal(t, `"12"`, r.header.Get("ETag"))
	assertDescribed(t, doc, "Config", r.body)

}

func TestConfig_OfAClusterWithoutSettingsIsGivenWholeOrNotAtAll(t *testing.T) {
	w := inMemory(t, Config{})
	w.gw.noSettings = true
	e := wantError(t, w.do("GET", clusterURL+"/config", nil), 404, "not_found")
	assert.Contains(t, e.Error.Message, "If-Match: 0")
	e = wantError(t, w.do("PUT", clusterURL+"/config", strings.NewReader(`{"rebalance":{"spread":0.5}}`), "If-Match: 0"), 400, "invalid_argument")
	assert.Equal(t, "must be given: this cluster has no settings yet", e.Error.Details["disk.full_used_share"])
	assert.NotContains(t, e.Error.Details, "rebalance.spread")
	whole := strings.Replace(configText, `"version":12,`, "", 1)
	r := w.do("PUT", clusterURL+"/config", strings.NewReader(whole), "If-Match: 0")
	require.Equal(t, 200, r.status, "%s", r.body)
}

func TestConfig_TakesAMergePatch(t *testing.T) {
	for _, match := range []string{"12", `"12"`, "*"} {
		w := inMemory(t, Config{})
		r := w.do("PUT", clusterURL+"/config", strings.NewReader(`{"background_bytes_per_second":1000,"placement":{"weights":{"io_load":0.1,"latency":0.2}},"rebalance":{"automatic":false},"version":12}`), "If-Match: "+match)
		require.Equal(t, 200, r.status, "%s", r.body)
		want := strings.NewReplacer(`"version":12`, `"version":13`, `"background_bytes_per_second":0`, `"background_bytes_per_second":1000`,
			`"io_load":0.2,"latency":0.1`, `"io_load":0.1,"latency":0.2`, `"automatic":true`, `"automatic":false`, `"node_background_bytes_per_second":1000`, `"node_background_bytes_per_second":0`).Replace(configText)
		assert.JSONEq(t, want, string(r.body))
		assert.Equal(t, `"13"`, r.header.Get("ETag"))
	}
}

// What was named goes on to where the licence is judged; what only stays does not.
func TestConfig_SaysWhetherAutomaticRebalancesWereAskedForByName(t *testing.T) {
	for body, asked := range map[string]bool{
		`{"rebalance":{"automatic":true}}`:                            true,
		`{"rebalance":{"automatic":true},"scrub_bytes_per_second":1}`: true,
		configText:                          true,
		`{"rebalance":{"automatic":false}}`: false,
		`{"rebalance":{"spread":0.2}}`:      false,
		`{}`:                                false,
	} {
		w := inMemory(t, Config{})
		r := w.do("PUT", clusterURL+"/config", strings.NewReader(body), "If-Match: *")
		require.Equal(t, 200, r.status, "%s", r.body)
		assert.Equal(t, asked, w.gw.autoAsked, body)
	}
}

func TestConfig_SaysWhatIsOnAndHasNoEffectByTheLicence(t *testing.T) {
	w := inMemory(t, Config{})
	doc, _ := readDocument(t)
	w.gw.license = standardLicense()
	const idle = `"without_effect":[{"key":"rebalance.automatic","feature":"auto_rebalancing","level":"enterprise","current_level":"standard"}]`
	want := strings.Replace(configText, "{", "{"+idle+",", 1)
	r := w.do("GET", clusterURL+"/config", nil)
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.JSONEq(t, want, string(r.body))
	assertDescribed(t, doc, "Config", r.body)
	// Sent back as it was read, but for what has no effect.
	back := strings.Replace(want, `"automatic":true`, `"automatic":false`, 1)
	r = w.do("PUT", clusterURL+"/config", strings.NewReader(back), "If-Match: 12")
	require.Equal(t, 200, r.status, "%s", r.body)
	assert.NotContains(t, string(r.body), "without_effect", "it is off now")
	r = w.do("PUT", clusterURL+"/config", strings.NewReader(`{"scrub_bytes_per_second":1}`), "If-Match: 12")
	assert.Contains(t, string(r.body), idle)
}

func TestConfig_EveryWayToAskWrongly(t *testing.T) {
	for _, c := range []struct {
		match, body string
		status      int
		want        []string
	}{
		{"", `{}`, 400, []string{"send If-Match with the version"}},
		{"soon", `{}`, 400, []string{"send If-Match with the version"}},
		{"11", `{"rebalance":{"spread":0.2}}`, 412, []string{"at version 12, not 11"}},
		{"12", `{"version":13}`, 400, []string{"version: is 12; it is counted by the cluster"}},
		{"12", `{"backgroundbytes_per_second":1}`, 400, []string{`did you mean "background_bytes_per_second"?`}},
		{"12", `{"disk":{"warn_share":0.5}}`, 400, []string{"disk.warn_share: unknown setting"}},
		{"12", `{"rebalance.spread":0.5}`, 400, []string{`rebalance.spread: settings are nested; send {"rebalance":{"spread":0.5}}`}},
		{"12", `{"placement.weights.latency":"x"}`, 400, []string{`send {"placement":{"weights":{"latency":"x"}}}`}},
		{"12", `{"placement":{"weights.latency":1}}`, 400, []string{`placement.weights.latency: settings are nested; send {"placement":{"weights":{"latency":1}}}`}},
		{"12", `{"placement.weights":{"latency":1}}`, 400, []string{`placement.weights: settings are nested; send {"placement":{"weights":{"latency":1}}}`}},
		{"12", `{"placement.wieghts":{"latency":1}}`, 400, []string{"placement.wieghts: unknown setting"}},
		{"12", `{"rebalance.spred":0.5}`, 400, []string{`unknown setting; did you mean "rebalance.spread"?`}},
		{"12", `{"rebalance":{"spread":0}}`, 400, []string{"rebalance.spread: must be more than 0; to have no rebalance start by itself set rebalance.automatic to false"}},
		{"12", `{"placement":{"weights":{"latency":0.5}}}`, 400, []string{"placement.weights: the weights sum to 1.400; they must sum to 1"}},
		{"12", `{"placement":{"weights":{"latency":1.5}}}`, 400, []string{"placement.weights.latency: must be a number from 0 to 1, not 1.5"}},
		{"12", `{"disk":{"warn_used_share":0.95}}`, 400, []string{"must ascend"}},
		{"12", `{"placement":1,"disk":null,"rebalance":{"automatic":"yes","spread":null},"scrub_bytes_per_second":-1,"compaction":{"merge_below_bytes":1.5,"dead_share":"x"}}`, 400, []string{
			"7 problems, nothing was changed", "placement: must be an object, not 1", "disk: must be an object, not null", "rebalance.automatic: must be true or false", "rebalance.spread: cannot be taken away",
			"scrub_bytes_per_second: must be a whole number", "compaction.merge_below_bytes: must be a whole number", "compaction.dead_share: must be a number from 0 to 1",
		}},
		{"12", `{"rebalance":{"spread":{"x":1}}}`, 400, []string{"not an object"}},
		{"12", `nonsense`, 400, []string{"one JSON object"}},
		{"12", `{} {}`, 400, []string{"goes on after"}},
	} {
		w := inMemory(t, Config{})
		var headers []string
		if c.match != "" {
			headers = append(headers, "If-Match: "+c.match)
		}
		r := w.do("PUT", clusterURL+"/config", strings.NewReader(c.body), headers...)
		e := wantError(t, r, c.status, map[int]string{400: "invalid_argument", 412: "precondition_failed"}[c.status])
		for _, want := range c.want {
			assert.Contains(t, e.Error.Message, want, c.body)
		}
		assert.NotContains(t, w.gw.asked, "change settings", "nothing was changed")
	}
}

func FuzzMergePatch(f *testing.F) {
	for _, s := range []string{
		`{}`, configText, `{"placement":{"weights":{"io_load":0.1,"latency":0.2}}}`, `{"disk":null}`, `{"rebalance":{"spread":1e-400}}`, `{"version":12.0}`,
		`{"a.b":{"c":[1,"x",{"y":null}]}}`, `{"placement":{"weights":{"latency":0.1000001}}}`, `{"scrub_bytes_per_second":18446744073709551615}`, `{"\ud800":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		old := fakeCluster().Settings
		if s, _, err := decodePatch(raw, nil); !refused(t, err) {
			require.InDelta(t, 1, s.WeightFree+s.WeightDisk+s.WeightLoad+s.WeightLatency, 0.002)
		}
		s, _, err := decodePatch(raw, old)
		require.True(t, proto.Equal(fakeCluster().Settings, old), "what was there is not touched")
		if refused(t, err) {
			return
		}
		require.Equal(t, old.Version, s.Version)
		for _, f := range settingsOf(s) {
			require.True(t, f.share == nil || *f.share >= 0 && *f.share <= 1, f.key)
		}
		require.InDelta(t, 1, s.WeightFree+s.WeightDisk+s.WeightLoad+s.WeightLatency, 0.002)
		require.True(t, s.WarnUsedShare <= s.FullUsedShare && s.FullUsedShare <= s.ReadOnlyUsedShare)
		// The whole document, laid over the old one, is the same settings again.
		doc, err := json.Marshal(configTree(s))
		require.NoError(t, err)
		again, _, err := decodePatch(doc, old)
		require.NoError(t, err, "%s", doc)
		require.True(t, proto.Equal(s, again), fmt.Sprint(s, again))
	})
}

func TestConfigFields_AreDescribedInTheDocumentInTheSameWords(t *testing.T) {
	doc, _ := readDocument(t)
	type schema struct {
		Description string             `json:"description"`
		Properties  map[string]*schema `json:"properties"`
	}
	var root schema
	require.NoError(t, json.Unmarshal(doc.Components.Schemas["Config"], &root))
	documented := map[string]string{}
	var walk func(prefix string, s *schema)
	walk = func(prefix string, s *schema) {
		for name, below := range s.Properties {
			if len(below.Properties) > 0 {
				walk(prefix+name+".", below)
			} else if prefix+name != "version" && prefix+name != keyWithoutEffect { // no settings
				documented[prefix+name] = below.Description
			}
		}
	}
	walk("", &root)
	listed := map[string]string{}
	for _, f := range ConfigFields(&messages.Settings{}) {
		listed[f.Key] = f.About
		assert.NotEmpty(t, f.About, f.Key)
	}
	assert.Equal(t, listed, documented)
}

func TestSuggestions_ReachKeysByTheirBranchesAndBeginnings(t *testing.T) {
	keys := settingKeys(settingsOf(&messages.Settings{}))
	for wrong, want := range map[string]string{
		"scrub_bytes": "scrub_bytes_per_second", "rebalanc": "rebalance", "placement.weigths": "placement.weights", "spread": "rebalance.spread",
	} {
		assert.Equal(t, `; did you mean "`+want+`"?`, suggest(wrong, keys), wrong)
	}
	assert.Contains(t, suggest("colour", keys), "known are")
}

func TestRetier_GoesOnBehindTheNextOfTheAnswerBefore(t *testing.T) {
	w := inMemory(t, Config{})
	var asked []model.RetierRequest
	w.gw.onRetier = func(req *model.RetierRequest) (*model.RetierResult, error) {
		asked = append(asked, *req)
		return &model.RetierResult{}, nil
	}
	retier := func(body string) reply { return w.do("POST", storageURL+"/retier", strings.NewReader(body)) }
	require.Equal(t, 200, retier(`{"prefix":"/a/","after":"/a/m","tier":2}`).status)
	assert.Equal(t, []model.RetierRequest{{Tenant: "default", Prefix: "/a/", After: "/a/m", Tier: 2}}, asked)
	for _, body := range []string{`{"path":"/a","after":"/a","tier":2}`, `{"prefix":"/a/","after":"/b","tier":2}`, `{"prefix":"/a/","after":7,"tier":2}`} {
		wantError(t, retier(body), 400, "invalid_argument")
	}
}
