package archive

import (
	"tiercel/cluster/model"
	"tiercel/messages"
)

// Matters reports whether a recovery that lacks a command would differ in anything a
// user could notice. The archive's own files do not matter: each would be followed by
// a segment that says so, for ever. Nor do reports of progress, which the next one
// replaces, and what only this life of the log means.
func Matters(cmd *messages.Command) bool {
	switch k := cmd.GetKind().(type) {
	case nil:
		return false
	case *messages.Command_PutFile:
		return k.PutFile.GetFile().GetTenant() != model.SystemTenant
	case *messages.Command_DeleteFile:
		return k.DeleteFile.GetTenant() != model.SystemTenant
	case *messages.Command_CheckStateHash, *messages.Command_MasterStarted, *messages.Command_UpdateJob, *messages.Command_ChangeWorkerState,
		*messages.Command_SetStormBrake, *messages.Command_KeepMaster:
		return false
	}
	return true
}
