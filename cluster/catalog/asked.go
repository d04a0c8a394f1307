package catalog

import (
	"fmt"

	"tiercel/messages"
)

// RefuseAsked says why the master must not log a command that another node asks for;
// empty: it may. What is in the log every voter applies: a kind that nobody knows stops
// all of them for good, and the kinds by which the master keeps its books are its own.
func RefuseAsked(cmd *messages.Command) string {
	switch cmd.GetKind().(type) {
	case *messages.Command_OpenSession, *messages.Command_PutFile, *messages.Command_DeleteFile, *messages.Command_MoveFile,
		*messages.Command_StageExtents, *messages.Command_CommitUpload, *messages.Command_AbortUpload:
	case nil:
		return "the master knows no command of this kind; upgrade its node, or ask with one that it knows"
	default:
		return fmt.Sprintf("a %T is the master's own to log; ask the master for what it is to do", cmd.GetKind())
	}
	// What this version does not know would be lost in some catalogs and kept in others.
	if len(cmd.ProtoReflect().GetUnknown()) > 0 {
		return "the command has fields that the master does not know; upgrade its node"
	}
	return ""
}
