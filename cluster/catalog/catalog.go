package catalog

import (
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// Catalog applies commands to the rows of an index and answers questions about them.
type Catalog struct {
	ix      store.Index
	hash    multiset
	applied uint64
	halted  error
	batch   bool

	cluster  *messages.ClusterRow // never changed in place; nil before bootstrap
	workers  map[string]*messages.WorkerRow
	nodes    []string          // of workers
	ordered  bool              // nodes are
	raftIDs  map[uint64]string // node by Raft id
	labels   map[string]int    // workers that have not left, by datacenter
	volumes  map[uint64]*volume
	order    []uint64 // ids of volumes, ascending
	tenants  map[string]*tenant
	sessions map[uint64]*session
	uploads  map[uint64]*upload
	jobs     map[uint64]*messages.JobRow // never changed in place
	garbage  int                         // rows under prefixGarbage
	lostAt   uint64                      // log index of the newest lost range
	limited  map[string]bool             // tenants with a limit
	survey   *survey                     // under way; nil: none. No part of the state
	byTier   tierUse

	dirty   []cachedRow
	buf     []byte           // for encoding
	scratch []byte           // for decoding
	file    messages.FileRow // for encoding
}

// entry is one command at its place in the log.
type entry struct {
	index uint64
	cmd   *messages.Command
}

// Apply applies the entry at a log index, which must be above Applied. A
// command that is not allowed gives a result with a code and changes nothing
// but its session. An error (model.Error, internal or corrupt) means that this
// node can follow the log no further; every later Apply returns it again.
func (c *Catalog) Apply(index uint64, cmd *messages.Command) (*messages.CommandResult, error) {
	if c.halted == nil && cmd.GetKind() == nil {
		c.halt(model.CodeInternal, "entry %d holds a command that this version does not know; upgrade this node", index)
	}
	if err := c.checkIndex(index); err != nil {
		return nil, err
	}
	if !c.batch {
		c.Begin()
		defer c.End()
	}
	res := c.admit(entry{index: index, cmd: cmd})
	if err := c.passed(index); err != nil {
		return nil, err
	}
	return res, nil
}

// Advance notes a log entry that carries no command: the empty entry of a new
// leader, a change of voters. Errors are those of Apply.
func (c *Catalog) Advance(index uint64) error {
	if err := c.checkIndex(index); err != nil {
		return err
	}
	if !c.batch {
		c.Begin()
		defer c.End()
	}
	return c.passed(index)
}

// checkIndex refuses an entry that is applied already, and anything after a halt.
func (c *Catalog) checkIndex(index uint64) error {
	if c.halted == nil && index <= c.applied {
		c.halt(model.CodeInternal, "entry %d was given to the catalog, which is at %d already", index, c.applied)
	}
	return c.halted
}

// passed ends the work of one entry.
func (c *Catalog) passed(index uint64) error {
	c.applied = index
	c.sweep()
	return c.halted
}

// Begin opens a batch of Apply calls, which then share one index transaction
// and one write of each cached row. An Apply outside of a batch is a batch of its own.
func (c *Catalog) Begin() {
	c.batch = true
	c.ix.Begin()
}

// End writes the cached rows that the batch has changed and closes it.
func (c *Catalog) End() {
	c.flush()
	c.batch = false
	c.ix.End()
}

// Applied is the log index of the last entry applied, as the rows have it.
func (c *Catalog) Applied() uint64 { return c.applied }

// Err is why the catalog has stopped, or nil. After an error the rows are not
// to be trusted: no snapshot may be taken of them.
func (c *Catalog) Err() error { return c.halted }

// StateHash is the hash of all rows, 16 bytes. It depends on the entries
// applied and not on how they were batched.
func (c *Catalog) StateHash() []byte {
	c.flush()
	return c.hash.bytes()
}

// Recompute is StateHash computed anew from every row, for checks.
func (c *Catalog) Recompute() []byte {
	c.flush()
	var m multiset
	c.ix.Ascend("", func(key, value string) bool {
		m.add(key, value)
		return true
	})
	return m.bytes()
}

// halt stops the catalog for good; the first reason stays.
func (c *Catalog) halt(code model.Code, format string, args ...any) {
	if c.halted == nil {
		c.halted = model.Errorf(code, "catalog", format, args...)
	}
}

// dispatch runs the rule for the command's kind.
func (c *Catalog) dispatch(e entry) *messages.CommandResult {
	kind := e.cmd.GetKind()
	if boot, ok := kind.(*messages.Command_Bootstrap); ok {
		return c.bootstrap(e, boot.Bootstrap)
	}
	if c.cluster == nil {
		return refuse("not_bootstrapped")
	}
	switch k := kind.(type) {
	case *messages.Command_OpenSession:
		return c.openSession(e, k.OpenSession)
	case *messages.Command_PutFile:
		return c.putFile(e, k.PutFile)
	case *messages.Command_CommitUpload:
		return c.commitUpload(e, k.CommitUpload)
	case *messages.Command_DeleteFile:
		return c.deleteFile(e, k.DeleteFile)
	case *messages.Command_MoveFile:
		return c.moveFile(e, k.MoveFile)
	case *messages.Command_StageExtents:
		return c.stageExtents(e, k.StageExtents)
	case *messages.Command_AbortUpload:
		return c.abortUpload(e, k.AbortUpload)
	case *messages.Command_CreateVolume:
		return c.createVolume(e, k.CreateVolume)
	case *messages.Command_SealVolume:
		return c.sealVolume(e, k.SealVolume)
	case *messages.Command_ReopenVolume:
		return c.reopenVolume(e, k.ReopenVolume)
	case *messages.Command_TruncateVolume:
		return c.truncateVolume(e, k.TruncateVolume)
	case *messages.Command_RegisterWorker:
		return c.registerWorker(e, k.RegisterWorker)
	case *messages.Command_ChangeWorkerState:
		return c.changeWorkerState(e, k.ChangeWorkerState)
	case *messages.Command_RemoveWorker:
		return c.removeWorker(e, k.RemoveWorker)
	case *messages.Command_VerifyMember:
		return c.verifyMember(k.VerifyMember)
	case *messages.Command_SetStormBrake:
		return c.setStormBrake(e, k.SetStormBrake)
	case *messages.Command_RaiseGeneration:
		return c.raiseGeneration(e, k.RaiseGeneration)
	case *messages.Command_ChangeMembers:
		return c.changeMembers(k.ChangeMembers)
	case *messages.Command_MarkDamaged:
		return c.markDamaged(e, k.MarkDamaged)
	case *messages.Command_CreateJob:
		return c.createJob(e, k.CreateJob)
	case *messages.Command_UpdateJob:
		return c.updateJob(e, k.UpdateJob)
	case *messages.Command_ChangeJobState:
		return c.changeJobState(e, k.ChangeJobState)
	case *messages.Command_SetDraining:
		return c.setDraining(e, k.SetDraining)
	case *messages.Command_SetSettings:
		return c.setSettings(e, k.SetSettings)
	case *messages.Command_SetTier:
		return c.setTier(e, k.SetTier)
	case *messages.Command_MasterStarted:
		return c.masterStarted(e, k.MasterStarted)
	case *messages.Command_RetireVolume:
		return c.retireVolume(e, k.RetireVolume)
	case *messages.Command_MoveExtents:
		return c.moveExtents(k.MoveExtents)
	case *messages.Command_DropVolume:
		return c.dropVolume(k.DropVolume)
	case *messages.Command_CheckStateHash:
		return c.checkStateHash(e, k.CheckStateHash)
	}
	return c.dispatchOperator(e)
}

// dispatchOperator applies what operators decide for all.
func (c *Catalog) dispatchOperator(e entry) *messages.CommandResult {
	kind := e.cmd.Kind
	switch k := kind.(type) {
	case *messages.Command_KeepMaster:
		return c.keepMaster(e, k.KeepMaster)
	case *messages.Command_SetQuota:
		return c.setQuota(k.SetQuota)
	case *messages.Command_RemoveQuota:
		return c.removeQuota(k.RemoveQuota)
	case *messages.Command_SetLicense:
		return c.setLicense(e, k.SetLicense)
	case *messages.Command_NoteLicenseTime:
		return c.noteLicenseTime(e, k.NoteLicenseTime)
	case *messages.Command_RecoverCatalog, *messages.Command_AdoptCopy, *messages.Command_AdoptVolume:
		return c.recovery(e)
	}
	c.halt(model.CodeInternal, "entry %d holds a command of kind %T that has no rule here; upgrade this node", e.index, kind)
	return nil
}
