package catalog

import (
	"google.golang.org/protobuf/encoding/protowire"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// Numbers of the fields of FileRow that are summed by tier.
const (
	fieldFileSize = 2
	fieldFileTier = 4
)

// tierUse is what the files of each tier add up to. No row holds it: it is derived
// from the rows of files at load, and kept by charge.
type tierUse [len(model.Tiers) + 1]struct{ files, bytes int64 }

func (u *tierUse) add(tier uint32, files, bytes int64) {
	if tier < uint32(len(u)) { // others are refused in apply, and reported by Verify
		u[tier].files += files
		u[tier].bytes += bytes
	}
}

// useOf is where a tenant's files count. Those of the system itself are nobody's.
func (c *Catalog) useOf(tenant string) *tierUse {
	if tenant == model.SystemTenant {
		return &tierUse{}
	}
	return &c.byTier
}

// addRow counts an encoded row of a file, reading only what it needs: a node that
// starts does this for every file there is.
func (u *tierUse) addRow(value []byte) error {
	var size, tier uint64
	for len(value) > 0 {
		number, kind, n := protowire.ConsumeTag(value)
		if n < 0 {
			return protowire.ParseError(n)
		}
		value = value[n:]
		var v uint64
		if kind == protowire.VarintType {
			v, n = protowire.ConsumeVarint(value)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, value)
		}
		if n < 0 {
			return protowire.ParseError(n)
		}
		value = value[n:]
		switch {
		case kind != protowire.VarintType:
		case number == fieldFileSize:
			size = v
		case number == fieldFileTier:
			tier = v
		}
	}
	u.add(uint32(tier), 1, int64(size))
	return nil
}

// TierUse returns how many files each tier has and how many bytes they hold, in the
// order of model.Tiers. A file counts in the tier it is stored in.
func (c *Catalog) TierUse() []*messages.TierUse {
	var out []*messages.TierUse
	for _, t := range model.Tiers {
		u := c.byTier[t]
		out = append(out, &messages.TierUse{Tier: uint32(t), Files: u.files, LogicalBytes: u.bytes})
	}
	return out
}
