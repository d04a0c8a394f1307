package master

import (
	"tiercel/actors/runtime"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// waits says whether the answer to a command waits for the standby's log.
type waits uint8

const (
	waitsNot    waits = iota
	waitsIfHere       // while the standby is in contact
	waitsAlways
)

// waitsFor judges a command of a gateway: what a tier 1 write acknowledges survives a
// take-over by the standby. Deletes and moves wait too, but go on without a standby
// that is away; tier 2 and 3 promise less.
func waitsFor(cmd *messages.Command) waits {
	var file *messages.FileAttributes
	switch k := cmd.GetKind().(type) {
	case *messages.Command_PutFile:
		file = k.PutFile.GetFile()
	case *messages.Command_CommitUpload:
		file = k.CommitUpload.GetFile()
	case *messages.Command_DeleteFile, *messages.Command_MoveFile:
		return waitsIfHere
	default:
		return waitsNot
	}
	if model.Tier(file.GetTier()) == model.TierCritical {
		return waitsAlways
	}
	return waitsNot
}

// mustWait reports whether an outcome is ahead of what it waits for. Until the log
// has said whether there is a standby, there may be one.
func (c *Coordinator) mustWait(p *proposal, o *messages.CommitOutcome) bool {
	if p.waits == waitsNot || o.Dropped || o.Result.GetCode() != "" {
		return false
	}
	s := c.standby
	switch {
	case s == nil:
		return true
	case !s.Standing || o.Index <= s.Match:
		return false
	}
	return p.waits == waitsAlways || s.InContact
}

// onStandby hands out what waited.
func (c *Coordinator) onStandby(ctx *runtime.Context, m *messages.StandbyMatch) {
	c.standby = m
	held := c.held
	c.held = nil
	c.deliver(ctx, held)
}

// tooSoon holds a volume's drop back until the standby's log is as far as the state
// that nothing names it in: after a take-over the catalog would name it again, and
// its copies would be gone.
func (c *Coordinator) tooSoon(cmd *messages.Command) bool {
	if cmd.GetDropVolume() == nil {
		return false
	}
	s := c.standby
	return s == nil || c.newest == 0 || s.Standing && (!s.InContact || s.Match < c.newest)
}
