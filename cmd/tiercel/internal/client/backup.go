package client

import (
	"context"
	"io"
	"net/http"
	"strconv"

	"tiercel/cluster/model"
)

// Backup is what the headers of a backup say.
type Backup struct {
	Index, Generation uint64
	ClusterID         string
	Bytes             int64
}

// Backup writes the whole catalog at one log index to sink. After a broken connection
// it begins anew, with the state as it is then.
func (c *Client) Backup(ctx context.Context, sink Sink, progress func(int64)) (Backup, error) {
	const op = "backup"
	var made Backup
	began := false
	err := c.repeat(ctx, op, true, func(int) (bool, error) {
		if began {
			if err := sink.Restart(); err != nil {
				return false, err
			}
			progress(-made.Bytes)
		}
		began, made = true, Backup{}
		return false, c.backupOnce(ctx, &made, sink, progress)
	})
	return made, err
}

func (c *Client) backupOnce(ctx context.Context, made *Backup, sink Sink, progress func(int64)) error {
	ctx, w := newWatch(ctx, c.timeout)
	defer w.stop()
	k := &call{op: "backup", method: http.MethodGet, path: "/cluster/backup"}
	resp, err := c.send(ctx, k)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	made.Index, _ = strconv.ParseUint(resp.Header.Get("X-Backup-Index"), 10, 64)
	made.Generation, _ = strconv.ParseUint(resp.Header.Get("X-Backup-Generation"), 10, 64)
	made.ClusterID = resp.Header.Get("X-Cluster-ID")
	if made.Index == 0 || resp.ContentLength <= 0 {
		return model.Errorf(model.CodeInternal, k.op, "the answer is no backup; is this a Tiercel server?")
	}
	buf := make([]byte, copyBufferBytes)
	for {
		n, err := resp.Body.Read(buf)
		if n > 0 {
			w.moved()
			if _, err := sink.Write(buf[:n]); err != nil {
				return model.Errorf(model.CodeUnavailable, k.op, "the backup cannot be written: %w", err)
			}
			made.Bytes += int64(n)
			progress(int64(n))
		}
		switch {
		case err == io.EOF && made.Bytes == resp.ContentLength:
			return nil
		case err == io.EOF:
			err = io.ErrUnexpectedEOF
			fallthrough
		case err != nil:
			return c.transportError(ctx, k.op, err)
		}
	}
}
