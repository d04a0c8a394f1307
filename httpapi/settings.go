package httpapi

import (
	"encoding/json"
	"math"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// setting is one field of the configuration under its full name, and what it means.
// Exactly one of the pointers is set.
type setting struct {
	key   string
	about string
	whole *uint64
	share *float64
	flag  *bool
	// feature of the licence without which a flag that is on does nothing; empty: none.
	feature string
}

const (
	keyAutomatic = "rebalance.automatic"
	keySpread    = "rebalance.spread"
	// maxNestedShown bounds what a refusal repeats of a value.
	maxNestedShown = 200
	// keyWithoutEffect is told beside the settings and is none: a document that was read
	// may be sent back with it.
	keyWithoutEffect = "without_effect"
)

// ConfigField is one key of the cluster's configuration, for those who explain it.
type ConfigField struct {
	Key   string `json:"key"`   // placement.weights.io_load
	Kind  string `json:"kind"`  // KindWhole, KindShare or KindFlag
	About string `json:"about"` // one or two sentences

	Default any `json:"default"` // what a new cluster begins with: uint64, float64 or bool
}

// Kinds of values.
const (
	KindWhole = "whole number"
	KindShare = "share, 0 to 1"
	KindFlag  = "true or false"
)

// ConfigFields lists the keys of /cluster/config in the order in which they are shown.
// The OpenAPI document describes them in the same words, which a test compares. With
// which values a new cluster begins is for its caller to know.
func ConfigFields(defaults *messages.Settings) []ConfigField {
	var out []ConfigField
	for _, f := range settingsOf(proto.CloneOf(defaults)) {
		field := ConfigField{Key: f.key, About: f.about}
		switch {
		case f.whole != nil:
			field.Kind, field.Default = KindWhole, *f.whole
		case f.share != nil:
			field.Kind, field.Default = KindShare, *f.share
		default:
			field.Kind, field.Default = KindFlag, *f.flag
		}
		out = append(out, field)
	}
	return out
}

// settingsOf lists the fields of s in the order in which they are shown.
func settingsOf(s *messages.Settings) []setting {
	return []setting{
		{key: "background_bytes_per_second", about: "Bytes a second of all background jobs together; 0: no limit.",
			whole: &s.BackgroundBytesPerSecond},
		{key: "node_background_bytes_per_second", about: "Bytes a second that one node takes in for jobs, and reads of a copy before another one goes; 0: no limit.",
			whole: &s.NodeBackgroundBytesPerSecond},
		{key: "scrub_bytes_per_second", about: "Bytes a second that one node reads to check its copies; 0: no scrub by itself.",
			whole: &s.ScrubBytesPerSecond},
		{key: "placement.weights.free_capacity", about: "Weight of free capacity in the score of a worker. The four weights sum to 1.",
			share: &s.WeightFree},
		{key: "placement.weights.disk_type", about: "Weight of a disk of the type that the tier prefers.",
			share: &s.WeightDisk},
		{key: "placement.weights.io_load", about: "Weight of a disk that is idle.",
			share: &s.WeightLoad},
		{key: "placement.weights.latency", about: "Weight of a network that is near.",
			share: &s.WeightLatency},
		{key: "disk.warn_used_share", about: "Used share of a disk from which on there is a warning; 0: none. The three shares ascend.",
			share: &s.WarnUsedShare},
		{key: "disk.full_used_share", about: "Used share from which on a worker gets no new volumes; 0: at none.",
			share: &s.FullUsedShare},
		{key: "disk.read_only_used_share", about: "Used share from which on a worker takes nothing new at all; 0: at none, and only the reserve of its disk stays free.",
			share: &s.ReadOnlyUsedShare},
		{key: "compaction.dead_share", about: "Share of a sealed volume that nothing names any more, from which on it is compacted; 0: never.",
			share: &s.CompactDeadShare},
		{key: "compaction.merge_below_bytes", about: "Sealed volumes smaller than this are merged; 0: never.",
			whole: &s.MergeBelowBytes},
		{key: keySpread, about: "Difference between the used shares of the fullest and the emptiest worker that is worth a rebalance; more than 0.",
			share: &s.RebalanceSpread},
		{key: keyAutomatic, about: "Whether a rebalance starts by itself at that spread, where the licence has auto rebalancing.",
			flag: &s.AutoRebalance, feature: "auto_rebalancing"},
		{key: "quota.counts_copies", about: "Whether a file counts its size times the copies that its tier wants when it is written, for its tenant's quota, and not its size alone.",
			flag: &s.QuotaCountsCopies},
	}
}

// configTree is the configuration as a JSON document.
func configTree(s *messages.Settings) tree {
	doc := tree{"version": s.GetVersion()}
	for _, f := range settingsOf(s) {
		at, names := doc, strings.Split(f.key, ".")
		for _, name := range names[:len(names)-1] {
			if at[name] == nil {
				at[name] = tree{}
			}
			at = at[name].(tree)
		}
		leaf := names[len(names)-1]
		switch {
		case f.whole != nil:
			at[leaf] = *f.whole
		case f.share != nil:
			at[leaf] = *f.share
		default:
			at[leaf] = *f.flag
		}
	}
	return doc
}

// idle is a setting that is on and does nothing, because the licence lacks a feature.
type idle struct {
	Key     string `json:"key"`
	Feature string `json:"feature"`
	Level   string `json:"level"`         // the lowest that has it
	Current string `json:"current_level"` // in force
}

// withoutEffect lists them; nobody who does not know the licence can say so.
func withoutEffect(s *messages.Settings, info *messages.LicenseInfo) (out []idle) {
	for _, f := range settingsOf(s) {
		for _, has := range info.GetFeatures() {
			if f.feature == has.Name && *f.flag && !has.Granted {
				out = append(out, idle{f.key, f.feature, has.Level, info.Level})
			}
		}
	}
	return out
}

// decodePatch lays a JSON merge patch (RFC 7396) over settings, and returns the keys that
// it names, too. Nothing can be taken away, so null is refused. Where there are none yet
// (old is nil) all must be given. All that is wrong is in the one error.
func decodePatch(body []byte, old *messages.Settings) (*messages.Settings, []string, error) {
	patch, err := decodeTree(body)
	if err != nil {
		return nil, nil, err
	}
	s := &messages.Settings{}
	if old != nil {
		s = proto.CloneOf(old)
	}
	p := &problems{}
	if v, given := patch["version"]; given {
		if n := p.whole("version", v, 0, math.MaxInt64); len(p.list) == 0 && n != old.GetVersion() {
			p.add("version", "is %d; it is counted by the cluster and cannot be set", old.GetVersion())
		}
		delete(patch, "version")
	}
	delete(patch, keyWithoutEffect)
	given := applyPatch(p, patch, "", settingsOf(s))
	for _, f := range settingsOf(s) {
		if old == nil && !contains(given, f.key) {
			p.add(f.key, "must be given: this cluster has no settings yet")
		}
	}
	judgeSettings(p, s)
	if err := p.err("change the configuration"); err != nil {
		return nil, nil, err
	}
	return s, given, nil
}

// applyPatch sets the fields that a branch of the patch names, and returns their keys.
func applyPatch(p *problems, patch tree, prefix string, known []setting) (given []string) {
	for _, name := range patch.keys() {
		key, value := prefix+name, patch[name]
		f, branch := findSetting(known, key)
		below, isTree := value.(tree)
		switch {
		case strings.Contains(name, ".") && (f != nil || branch):
			p.add(key, "settings are nested; send %s", nested(key, value))
		case strings.Contains(name, ".") || f == nil && !branch:
			p.add(key, "unknown setting%s", suggest(key, settingKeys(known)))
		case branch && isTree:
			given = append(given, applyPatch(p, below, key+".", known)...)
		case branch:
			p.add(key, "must be an object, not %s", shown(value))
		case value == nil:
			p.add(key, "cannot be taken away; give a value")
		case f.whole != nil:
			*f.whole = p.whole(key, value, 0, math.MaxInt64)
		case f.share != nil:
			before := len(p.list)
			if *f.share = p.share(key, value); key == keySpread && *f.share == 0 && len(p.list) == before { // workers always differ by something
				p.add(key, "must be more than 0; to have no rebalance start by itself set %s to false", keyAutomatic)
			}
		default:
			*f.flag = p.flag(key, value)
		}
		if f != nil {
			given = append(given, key)
		}
	}
	return given
}

// nested shows how a patch names the setting of a key with dots.
func nested(key string, value any) string {
	for _, name := range slices.Backward(strings.Split(key, ".")) {
		value = tree{name: value}
	}
	text, err := json.Marshal(value)
	if err != nil || len(text) > maxNestedShown {
		return "an object for each part of the name"
	}
	return string(text)
}

// findSetting returns the field of a key, or that the key is a branch above fields.
func findSetting(known []setting, key string) (f *setting, branch bool) {
	for i := range known {
		switch {
		case known[i].key == key:
			return &known[i], false
		case strings.HasPrefix(known[i].key, key+"."):
			branch = true
		}
	}
	return nil, branch
}

// settingKeys lists the fields and the branches above them.
func settingKeys(known []setting) []string {
	keys := make([]string, 0, 2*len(known))
	for _, f := range known {
		for at, c := range f.key {
			if c == '.' && !contains(keys, f.key[:at]) {
				keys = append(keys, f.key[:at])
			}
		}
		keys = append(keys, f.key)
	}
	return keys
}

// judgeSettings looks at fields that must fit each other; when one of them is wrong by
// itself that is enough.
func judgeSettings(p *problems, s *messages.Settings) {
	wrong := func(prefix string) bool {
		for _, q := range p.list {
			if strings.HasPrefix(q.key, prefix) {
				return true
			}
		}
		return false
	}
	if sum := s.WeightFree + s.WeightDisk + s.WeightLoad + s.WeightLatency; !wrong("placement") && math.Abs(sum-1) > 0.001 {
		p.add("placement.weights", "the weights sum to %.3f; they must sum to 1", sum)
	}
	if !wrong("disk") && (s.WarnUsedShare > s.FullUsedShare || s.FullUsedShare > s.ReadOnlyUsedShare) {
		p.add("disk", "warn_used_share %g, full_used_share %g and read_only_used_share %g must ascend", s.WarnUsedShare, s.FullUsedShare, s.ReadOnlyUsedShare)
	}
}

// showConfig answers GET /cluster/config.
func (c *call) showConfig() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	status, err := c.s.gw.Cluster(ctx)
	if err != nil {
		return err
	}
	s := status.GetCluster().GetSettings()
	if s == nil {
		return model.Errorf(model.CodeNotFound, "read the configuration",
			"this cluster was founded before there were settings; PUT all of them with If-Match: 0")
	}
	c.sayConsistency(status.Unchecked)
	return c.answerConfig(s, status.License)
}

func (c *call) answerConfig(s *messages.Settings, info *messages.LicenseInfo) error {
	c.ctx.Response.Header.Set("ETag", `"`+strconv.FormatUint(s.GetVersion(), 10)+`"`)
	doc := configTree(s)
	if idle := withoutEffect(s, info); len(idle) > 0 {
		doc[keyWithoutEffect] = idle
	}
	return c.answerValue(doc)
}

// changeConfig answers PUT /cluster/config, a JSON merge patch with If-Match.
func (c *call) changeConfig() error {
	if _, err := strictQuery(c.query); err != nil {
		c.leaveBody()
		return err
	}
	want, whichever, err := readConfigVersion(c.h.ifMatch)
	if err != nil {
		c.leaveBody()
		return err
	}
	body, err := c.readJSON()
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	status, err := c.s.gw.Cluster(ctx)
	if err != nil {
		return err
	}
	old := status.GetCluster().GetSettings()
	if !whichever && want != old.GetVersion() {
		return model.Errorf(model.CodePreconditionFailed, "change the configuration", "the configuration is at version %d, not %d; read it again and repeat the change", old.GetVersion(), want).
			With("version", strconv.FormatUint(old.GetVersion(), 10))
	}
	s, given, err := decodePatch(body, old)
	if err != nil {
		return err
	}
	// The version that was read: what the patch was laid over must still be there.
	reply, err := c.s.gw.ChangeSettings(ctx, s, old.GetVersion(), s.AutoRebalance && contains(given, keyAutomatic))
	if err != nil {
		return err
	}
	if now := reply.GetCluster().GetSettings(); now != nil {
		s = now
	}
	return c.answerConfig(s, status.License)
}

// readConfigVersion reads If-Match: a version, quoted or not, or *.
func readConfigVersion(value []byte) (version uint64, whichever bool, err error) {
	text := string(trimOWS(value))
	if text == "*" {
		return 0, true, nil
	}
	if bare, ok := strings.CutPrefix(text, `"`); ok {
		text = strings.TrimSuffix(bare, `"`)
	}
	version, err = strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, false, badTag("send If-Match with the version that GET %s/cluster/config shows, or * for whichever it is", basePath)
	}
	return version, false, nil
}
