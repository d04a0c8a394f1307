package fsck

import (
	"errors"
	"fmt"
	"hash/crc32"
	"strings"
	"sync"
	"sync/atomic"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/catalog"
	"tiercel/cluster/model"
	"tiercel/messages"
	"tiercel/store"
)

// filePrefix begins the keys of file rows: f/<tenant>\0<path> (messages/rows.proto).
const filePrefix = "f/"

// manifestPart is how many extents of a large file are held at a time.
const manifestPart = 4096

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// oneFile is a file row to be checked.
type oneFile struct {
	tenant, path string
	row          *messages.FileRow
}

// own: it is the cluster's own, a piece of a checkpoint or of the journal.
func (f oneFile) own() bool { return f.tenant == model.SystemTenant }

// checkFiles checks every file of every tenant. The walk over the catalog is
// single; reading content is not.
func (c *check) checkFiles() {
	queue := make(chan oneFile, 16*c.o.Jobs)
	var workers sync.WaitGroup
	var catalogInUse sync.Mutex // manifests are looked up while the walk goes on
	for range c.o.Jobs {
		workers.Go(func() {
			r := reader{c: c, catalog: &catalogInUse}
			for f := range queue {
				if c.ctx.Err() == nil {
					r.file(f)
				}
				c.o.Watch.Done()
			}
		})
	}
	tenants := map[string]bool{}
	for from, more := filePrefix, true; more && c.ctx.Err() == nil; {
		var batch []oneFile
		catalogInUse.Lock()
		batch, from, more = c.nextFiles(from)
		catalogInUse.Unlock()
		for _, f := range batch {
			if f.own() {
				c.report.OwnFiles++
				c.report.OwnBytes += int64(f.row.SizeBytes)
			} else {
				tenants[f.tenant] = true
				c.report.Files++
				c.report.FileBytes += int64(f.row.SizeBytes)
			}
			c.o.Watch.Found(1, int64(f.row.SizeBytes))
			queue <- f
		}
	}
	close(queue)
	workers.Wait()
	c.report.Tenants = len(tenants)
}

// nextFiles reads some file rows from a key on, and says where to go on.
func (c *check) nextFiles(from string) (batch []oneFile, next string, more bool) {
	c.index.Ascend(from, func(key, value string) bool {
		rest, ok := strings.CutPrefix(key, filePrefix)
		if !ok {
			return false
		}
		if len(batch) == 1000 {
			next, more = key, true
			return false
		}
		tenant, path, _ := strings.Cut(rest, "\x00")
		row := &messages.FileRow{}
		if err := proto.Unmarshal([]byte(value), row); err != nil {
			c.report.add(Problem{Kind: KindCatalog, Tenant: tenant, Path: path, Message: "its row cannot be read: " + err.Error()})
			return true
		}
		batch = append(batch, oneFile{tenant, path, row})
		return true
	})
	return batch, next, more
}

// reader checks files one after the other.
type reader struct {
	c       *check
	catalog *sync.Mutex
	buffer  []byte
}

// errElsewhere is that the content is on other nodes only.
var errElsewhere = errors.New("its content is on other nodes")

// errLost is that the log says the content is gone.
var errLost = errors.New("the log says that its content is gone; delete it or store it again")

// file checks one file: every extent, and the checksum of the whole.
func (r *reader) file(f oneFile) {
	sum := content{}
	err := r.extents(f.row, func(e *messages.Extent) error { return r.extent(&sum, e) })
	switch {
	case err == nil:
		err = sum.compare(f.row, r.c.o.Quick)
	case errors.Is(err, errElsewhere):
		if f.own() {
			atomic.AddInt64(&r.c.report.OwnElsewhere, 1)
		} else {
			atomic.AddInt64(&r.c.report.ElsewhereFiles, 1)
		}
		return
	}
	if r.c.ctx.Err() != nil {
		return
	}
	if err != nil {
		kind := KindFile
		if errors.Is(err, errLost) {
			kind = KindLost
		}
		r.c.report.add(Problem{Kind: kind, Tenant: f.tenant, Path: f.path, Message: message(err)})
	}
}

// extents calls fn for each extent of a file, in order.
func (r *reader) extents(row *messages.FileRow, fn func(*messages.Extent) error) error {
	for _, e := range row.Extents {
		if err := fn(e); err != nil {
			return err
		}
	}
	for at := uint64(0); at < row.ManifestExtents; {
		r.catalog.Lock()
		part := r.c.catalog.Manifest(row.Manifest, at, manifestPart)
		r.catalog.Unlock()
		if len(part) == 0 {
			return fmt.Errorf("its list of extents ends after %d of %d", at, row.ManifestExtents)
		}
		for _, e := range part {
			if err := fn(e); err != nil {
				return err
			}
		}
		at += uint64(len(part))
	}
	return nil
}

// content sums up a file as it is read.
type content struct {
	bytes uint64
	crc   uint32
}

func (s *content) compare(row *messages.FileRow, quick bool) error {
	switch {
	case s.bytes != row.SizeBytes:
		return fmt.Errorf("its extents have %d bytes together, but it has %d", s.bytes, row.SizeBytes)
	case !quick && s.crc != row.Crc32C:
		return fmt.Errorf("every piece is intact, but the checksum of the whole is %08x and should be %08x", s.crc, row.Crc32C)
	}
	return nil
}

// extent checks one extent, and its bytes unless the check is quick.
func (r *reader) extent(sum *content, e *messages.Extent) error {
	c := r.c
	if c.ctx.Err() != nil {
		return c.ctx.Err()
	}
	id := model.VolumeID(e.Volume)
	row := c.rows[e.Volume]
	switch state := catalog.ExtentState(row, e); {
	case state == catalog.ExtentLost:
		return errLost
	case state == catalog.ExtentDropped:
		return fmt.Errorf("it names volume %d, which is gone", id)
	case !c.isMember(row):
		return errElsewhere
	}
	end := c.states[id].End
	if e.Offset < store.DataStart || e.Offset+e.RecordBytes > end {
		return fmt.Errorf("it names bytes %d to %d of volume %d, whose intact records end at %d", e.Offset, e.Offset+e.RecordBytes, id, end)
	}
	sum.bytes += e.BodyBytes
	if c.o.Quick {
		return nil
	}
	body, err := c.volumes.ReadBody(id, e.Offset, e.RecordBytes, e.HeaderCrc32C, 0, e.BodyBytes, r.buffer[:0])
	if err != nil {
		return err
	}
	r.buffer = body
	sum.crc = crc32.Update(sum.crc, castagnoli, body)
	atomic.AddInt64(&c.report.CheckedBytes, int64(len(body)))
	atomic.AddInt64(c.covered[id], int64(e.RecordBytes))
	c.o.Watch.Moved(int64(len(body)))
	return nil
}
