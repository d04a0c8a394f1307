package store

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"syscall"

	"github.com/zeebo/xxh3"

	"tiercel/cluster/model"
)

// CopyCheck reads a copy from its beginning to its end, in pieces, and tells
// whether its bytes are what was sealed. Reading and settling it go on meanwhile.
// It belongs to one goroutine at a time.
type CopyCheck struct {
	volumes *Volumes
	vol     *volume
	file    File
	meta    volumeMeta // as it was at the beginning
	hash    *xxh3.Hasher
	at, end uint64
	cause   string // what is wrong, empty if nothing
}

// OpenCheck begins a check. A copy that was never sealed, because its volume is open
// or its seal has not come yet, has no digest; its records are verified one by one
// instead, as far as they are durable now.
//
// conflict: the copy is still being received; unavailable: it is not here.
func (v *Volumes) OpenCheck(id model.VolumeID) (*CopyCheck, error) {
	const op = "check volume"
	vol, err := v.locked(op, id)
	if err != nil {
		return nil, err
	}
	defer vol.work.Unlock()
	state := vol.snapshot()
	if vol.broken || state.Partial {
		return nil, model.Errorf(model.CodeConflict, op, "the copy of volume %d cannot be checked: it is not whole", id)
	}
	c := &CopyCheck{volumes: v, vol: vol, meta: vol.meta, hash: xxh3.New(), at: 0, end: state.Watermark}
	if c.meta.sealed {
		c.end = c.meta.sealedEnd
	}
	if c.file, err = v.fs.OpenReadOnly(volName(vol.tier, id)); err != nil {
		return nil, failed(model.CodeUnavailable, op, fmt.Sprintf("volume %d cannot be opened", id), err)
	}
	return c, nil
}

// TotalBytes is how much there is to read.
func (c *CopyCheck) TotalBytes() uint64 { return c.end }

// ReadBytes is how far it is.
func (c *CopyCheck) ReadBytes() uint64 { return c.at }

// Step reads up to most bytes and returns how many it was, and whether it has seen enough.
func (c *CopyCheck) Step(most int) (read uint64, done bool, err error) {
	if !c.meta.sealed {
		return c.stepRecords(uint64(max(most, 1)))
	}
	p := make([]byte, min(uint64(max(most, 1)), c.end-c.at))
	err = readFull(c.file, p, int64(c.at))
	switch {
	case err == nil:
		_, _ = c.hash.Write(p) // a hash takes everything
		c.at += uint64(len(p))
		return uint64(len(p)), c.at == c.end, nil
	case errors.Is(err, io.ErrUnexpectedEOF):
		c.cause = fmt.Sprintf("the file ends before byte %d", c.end)
		return 0, true, nil
	case errors.Is(err, syscall.EIO):
		c.cause = fmt.Sprintf("the disk cannot read it beyond byte %d", c.at)
		return 0, true, nil
	}
	return 0, true, failed(model.CodeUnavailable, "check volume", fmt.Sprintf("volume %d cannot be read at byte %d", c.vol.id, c.at), err)
}

// stepRecords verifies whole records, most bytes of them or one more than that.
func (c *CopyCheck) stepRecords(most uint64) (read uint64, done bool, err error) {
	size, err := c.file.Size()
	if err != nil {
		return 0, true, failed(model.CodeUnavailable, "check volume", fmt.Sprintf("volume %d cannot be measured", c.vol.id), err)
	}
	w, from := newWindow(c.file, min(size, int64(c.end))), c.at
	for c.at = max(c.at, DataStart); c.at < c.end && c.at-from < most; {
		h, _, err := recordAt(w, c.vol.id, int64(c.at))
		var bad *recordError
		switch {
		case errors.As(err, &bad):
			c.cause = fmt.Sprintf("the record at byte %d is damaged: %s", c.at, bad.what)
		case errors.Is(err, syscall.EIO):
			c.cause = fmt.Sprintf("the disk cannot read it beyond byte %d", c.at)
		case err != nil:
			return c.at - from, true, failed(model.CodeUnavailable, "check volume", fmt.Sprintf("volume %d cannot be read at byte %d", c.vol.id, c.at), err)
		}
		if c.cause != "" {
			return c.at - from, true, nil
		}
		c.at += uint64(h.recordBytes())
	}
	return c.at - from, c.at >= c.end, nil
}

// scan verifies every record, and says what is wrong with the first that is.
func (c *CopyCheck) scan() error {
	err := scanRecords(c.file, c.vol.id, c.end, func(uint64, Record, Placed) error { return nil })
	if model.CodeOf(err) == model.CodeCorrupt || errors.Is(err, syscall.EIO) {
		c.cause, err = err.Error(), nil
	}
	return err
}

// Finish ends the check. When all was read it remembers the verdict with the copy,
// durably if the disk lets us, and returns what is wrong; empty if nothing is, or if
// the copy became another one meanwhile. Cancelled, it judges nothing.
func (c *CopyCheck) Finish(cancelled bool) (cause string, err error) {
	if c.meta.sealed && c.cause == "" && !cancelled {
		if sum := c.hash.Sum128().Bytes(); sum != c.meta.digest {
			if err := c.scan(); err != nil || c.cause == "" {
				c.cause = "its bytes are not those that were sealed"
			}
		}
	}
	if err := closed(c.file, nil); err != nil || cancelled {
		return "", err
	}
	c.vol.work.Lock()
	defer c.vol.work.Unlock()
	now := c.vol.meta
	if c.vol.gone || now.replicaGen != c.meta.replicaGen || now.generation != c.meta.generation || now.sealedEnd != c.meta.sealedEnd {
		return "", nil
	}
	return c.cause, c.remember()
}

func (c *CopyCheck) remember() error {
	state, meta := c.vol.snapshot(), c.vol.meta
	if state.Damage == c.cause || c.cause == "" && !meta.damaged {
		return nil // found sound, as it was; other damage is not ours to clear
	}
	c.vol.publish(state.End, state.Watermark, c.cause)
	if meta.damaged == (c.cause != "") {
		return nil
	}
	meta.damaged = c.cause != ""
	return failed(model.CodeUnavailable, "check volume", fmt.Sprintf("the meta of volume %d cannot be written", c.vol.id), c.vol.saveMeta(c.volumes.fs, meta))
}

// maxSuspects bounds what is remembered between two looks.
const maxSuspects = 1000

// suspect notes that a read of a copy did not match.
func (v *Volumes) suspect(id model.VolumeID) {
	v.suspectMu.Lock()
	defer v.suspectMu.Unlock()
	if len(v.suspects) < maxSuspects {
		if v.suspects == nil {
			v.suspects = make(map[model.VolumeID]bool)
		}
		v.suspects[id] = true
	}
}

// TakeSuspects returns the copies of which reads did not match since the last call.
func (v *Volumes) TakeSuspects() []model.VolumeID {
	v.suspectMu.Lock()
	defer v.suspectMu.Unlock()
	ids := slices.Sorted(maps.Keys(v.suspects))
	v.suspects = nil
	return ids
}
