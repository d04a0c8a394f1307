package edge

import (
	"context"

	"tiercel/messages"
)

// PrepareBackup has a snapshot of the catalog taken at the master, as a quorum has it
// now, and says at which log index it stands.
func (c *Client) PrepareBackup(ctx context.Context) (*messages.PrepareBackupReply, error) {
	return consult[*messages.PrepareBackupReply](ctx, c, "backup", &messages.PrepareBackup{Header: &messages.Header{}})
}

// ReadBackup returns a piece of that snapshot's file from an offset on; not_found when
// it is gone, because nobody read from it for a while or the master has changed.
func (c *Client) ReadBackup(ctx context.Context, index, offset uint64) (*messages.FetchSnapshotReply, error) {
	return consult[*messages.FetchSnapshotReply](ctx, c, "backup", &messages.FetchSnapshot{Header: &messages.Header{}, Index: index, Offset: offset})
}

// Archive says how much of the catalog is in checkpoint and journal.
func (c *Client) Archive(ctx context.Context) (*messages.DescribeArchiveReply, error) {
	return consult[*messages.DescribeArchiveReply](ctx, c, "describe the archive", &messages.DescribeArchive{Header: &messages.Header{}})
}
