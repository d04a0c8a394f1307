package httpapi

import "tiercel/messages"

// ConfigField is one key of the cluster's configuration, for those who explain it.
type ConfigField struct {
	Key   string `json:"key"`   // placement.weights.io_load
	Kind  string `json:"kind"`  // whole number, share (0 to 1), true or false
	About string `json:"about"` // one or two sentences
}

// ConfigFields lists the keys of /cluster/config in the order in which they are shown.
// The OpenAPI document describes them in the same words, which a test compares.
func ConfigFields() []ConfigField {
	var out []ConfigField
	for _, f := range settingsOf(&messages.Settings{}) {
		kind := "true or false"
		switch {
		case f.whole != nil:
			kind = "whole number"
		case f.share != nil:
			kind = "share, 0 to 1"
		}
		out = append(out, ConfigField{f.key, kind, settingAbout[f.key]})
	}
	return out
}

// settingAbout says what each field of settingsOf means; a test wants all of them.
var settingAbout = map[string]string{
	"background_bytes_per_second":      "Bytes a second of all background jobs together; 0: no limit.",
	"node_background_bytes_per_second": "Bytes a second that one node takes in for jobs; 0: no limit.",
	"scrub_bytes_per_second":           "Bytes a second that one node reads to check its copies; 0: no scrub by itself.",
	"placement.weights.free_capacity":  "Weight of free capacity in the score of a worker. The four weights sum to 1.",
	"placement.weights.disk_type":      "Weight of a disk of the type that the tier prefers.",
	"placement.weights.io_load":        "Weight of a disk that is idle.",
	"placement.weights.latency":        "Weight of a network that is near.",
	"disk.warn_used_share":             "Used share of a disk from which on there is a warning. The three shares ascend.",
	"disk.full_used_share":             "Used share from which on a worker gets no new volumes.",
	"disk.read_only_used_share":        "Used share from which on a worker takes nothing new at all.",
	"compaction.dead_share":            "Share of a sealed volume that nothing names any more, from which on it is compacted; 0: never.",
	"compaction.merge_below_bytes":     "Sealed volumes smaller than this are merged; 0: never.",
	"rebalance.spread":                 "Difference between the used shares of the fullest and the emptiest worker that is worth a rebalance.",
	"rebalance.automatic":              "Whether a rebalance starts by itself at that spread.",
}
