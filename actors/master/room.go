package master

import (
	"slices"
	"strings"

	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/cluster/placement"
	"tiercel/cluster/tier"
	"tiercel/messages"
)

// withRoom leaves out volumes of which a member has no room; full: all of them, and
// it is space that they lack.
func (c *Coordinator) withRoom(open []placement.Open, item *messages.BeginItem) (fit []placement.Open, full bool) {
	if !slices.ContainsFunc(open, func(o placement.Open) bool { return !c.hasRoom(o.Volume, item) }) {
		return open, false
	}
	full = len(open) > 0
	for _, o := range open {
		switch {
		case c.hasRoom(o.Volume, item):
			fit, full = append(fit, o), false
		case slices.ContainsFunc(c.grants[o.Volume].members, c.isFailing):
			full = false
		}
	}
	return fit, full
}

// isFailing reports whether the disk of a worker takes nothing new because of errors.
func (c *Coordinator) isFailing(node string) bool {
	return c.space[node] != nil && c.space[node].report.Failing != ""
}

// hasRoom reports whether every member of a volume can take an item. What frees
// space in the end may use half of what is kept free.
func (c *Coordinator) hasRoom(volume uint64, item *messages.BeginItem) bool {
	for _, node := range c.grants[volume].members {
		s := c.space[node]
		if s == nil {
			continue
		}
		room := s.report.WritableBytes
		if item.Reserved {
			room += (s.report.FreeBytes - min(s.report.FreeBytes, room)) / 2
		}
		if s.granted+item.Bytes > room {
			return false
		}
	}
	return true
}

func (c *Coordinator) take(tier model.Tier, volume, bytes uint64) {
	open := c.usable[tier]
	for i := range open {
		if open[i].Volume == volume {
			open[i].Outstanding += int64(bytes)
		}
	}
	for _, node := range c.grants[volume].members {
		if s := c.space[node]; s != nil {
			s.granted += bytes
		}
	}
}

// allFull reports whether no worker that was heard takes new content, for want of space.
func (c *Coordinator) allFull() bool {
	for _, s := range c.space {
		if s.report.AcceptsWrites || s.report.Failing != "" {
			return false
		}
	}
	return len(c.space) > 0
}

// fullUpTo says which bound the disks have met that take nothing new, once each.
func (c *Coordinator) fullUpTo() string {
	share, bounds := c.cluster.GetSettings().GetReadOnlyUsedShare(), []string(nil)
	for _, node := range c.nodes {
		if s := c.space[node]; s != nil && !s.report.AcceptsWrites && s.report.Failing == "" {
			if to := placement.FullUpTo(s.report.TotalBytes, s.report.FreeBytes, share); !slices.Contains(bounds, to) {
				bounds = append(bounds, to)
			}
		}
	}
	if len(bounds) == 0 { // they take something, but not this much
		return "up to the reserve or to disk.read_only_used_share"
	}
	return strings.Join(bounds, " or ")
}

// allFailing names a worker whose disk fails, and how, when none takes new content.
func (c *Coordinator) allFailing() (how string) {
	for _, node := range c.nodes {
		switch s := c.space[node]; {
		case s != nil && s.report.AcceptsWrites:
			return ""
		case how == "" && c.isFailing(node):
			how = node + ": " + s.report.Failing
		}
	}
	return how
}

// othersTake reports whether enough workers have room for another volume of a tier.
func (c *Coordinator) othersTake(ctx *runtime.Context, t model.Tier) bool {
	n := 0
	for _, s := range c.space {
		if r := s.report; ctx.Now().Sub(s.at) < presentFor && r.WritableBytes >= s.granted+roomForVolume(r.TotalBytes) {
			n++
		}
	}
	return n >= tier.MinCopies(nil, t, len(c.nodes))
}
