package httpapi

import (
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// Limits of a tier's row, as the catalog has them.
const (
	maxCopies       = 16
	maxTierPatterns = 1024
)

var (
	tierFields = []string{"copies", "min_copies", "prefixes", "suffixes", "disk_preference"}
	diskTypes  = []string{"any", "nvme", "ssd", "hdd"}
)

// decodeTier lays the fields of a JSON object over the row of a tier. All that is
// wrong with them is in the one error. What is given is asked for by name, even if the row
// has it already.
func decodeTier(body []byte, cluster *messages.ClusterRow, tier model.Tier) (*messages.SetTier, error) {
	given, err := decodeTree(body)
	if err != nil {
		return nil, err
	}
	row := &messages.TierRow{Tier: uint32(tier)}
	if old := tierRow(cluster, tier); old != nil {
		row = proto.CloneOf(old)
	}
	p, set := &problems{}, &messages.SetTier{Tier: row}
	for _, key := range given.keys() {
		switch value := given[key]; key {
		case "copies":
			row.Copies = uint32(p.whole(key, value, 1, maxCopies))
			set.CopiesAsked = set.CopiesAsked || row.Copies > 1
		case "min_copies":
			row.MinCopies = uint32(p.whole(key, value, 1, maxCopies))
			set.CopiesAsked = set.CopiesAsked || row.MinCopies > 1
		case "disk_preference":
			row.DiskPreference = p.oneOf(key, value, diskTypes)
			set.DiskAsked = row.DiskPreference != ""
		case "prefixes":
			row.Prefixes = p.patterns(key, value, checkTierPrefix)
		case "suffixes":
			row.Suffixes = p.patterns(key, value, checkTierSuffix)
		default:
			p.add(key, "unknown field%s", suggest(key, tierFields))
		}
	}
	judgeTier(p, row, cluster)
	if err := p.err("change tier"); err != nil {
		return nil, err
	}
	return set, nil
}

// judgeTier looks at the row as a whole, and beside the other tiers'.
func judgeTier(p *problems, row *messages.TierRow, cluster *messages.ClusterRow) {
	copies := row.Copies
	if copies == 0 {
		copies = copiesWanted(model.Tier(row.Tier), cluster.GetReplicationFactor())
	}
	// One of them that is wrong by itself says nothing about the other.
	if row.MinCopies > copies && !p.has("copies") && !p.has("min_copies") {
		p.add("min_copies", "%d is more than the %d copies that the tier wants", row.MinCopies, copies)
	}
	total := 0
	for _, other := range cluster.GetTiers() {
		if other.Tier == row.Tier {
			continue
		}
		total += len(other.Prefixes) + len(other.Suffixes)
		for _, claim := range []struct {
			field       string
			mine, other []string
		}{{"prefixes", row.Prefixes, other.Prefixes}, {"suffixes", row.Suffixes, other.Suffixes}} {
			for _, pattern := range claim.mine {
				if slices.Contains(claim.other, pattern) {
					p.add(claim.field, "%q belongs to tier %d (%s); take it away there first", clip(pattern), other.Tier, model.Tier(other.Tier).Name())
				}
			}
		}
	}
	if total += len(row.Prefixes) + len(row.Suffixes); total > maxTierPatterns {
		p.add("prefixes", "the tiers would have %d prefixes and suffixes together; at most %d are allowed", total, maxTierPatterns)
	}
}

func checkTierPrefix(prefix string) string {
	if prefix == "" || prefix[0] != '/' {
		return "a prefix begins with \"/\""
	}
	if err := model.CheckPrefix(prefix); err != nil {
		return messageOf(err)
	}
	return ""
}

func checkTierSuffix(suffix string) string {
	switch {
	case suffix == "":
		return "a suffix is not empty"
	case strings.Contains(suffix, "/"):
		return "a suffix is the end of a file name, without \"/\""
	case model.CheckPrefix("/x"+suffix) != nil:
		return "no file name ends so"
	}
	return ""
}
