package httpapi

import (
	"strconv"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// listFiles answers GET /files: one page in byte order.
func (c *call) listFiles() error {
	req, err := c.readList()
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.List(ctx, req)
	if err == nil {
		err = reply.GetError().Err("list")
	}
	if err != nil {
		return err
	}
	c.sayConsistency(reply.Unchecked)
	c.scratch = appendList(c.scratch[:0], req, reply)
	c.answerJSON(fasthttp.StatusOK)
	return nil
}

// readList makes a List of a query.
func (c *call) readList() (*messages.List, error) {
	q, err := strictQuery(c.query, "prefix", "delimiter", "limit", "cursor")
	if err != nil {
		return nil, err
	}
	req := &messages.List{Prefix: q["prefix"], Delimiter: q["delimiter"], Limit: model.MaxListLimit}
	if req.Tenant, err = readTenant(c.h.tenant); err != nil {
		return nil, err
	}
	if err := model.CheckPrefix(req.Prefix); err != nil {
		return nil, err
	}
	if err := checkDelimiter(req.Delimiter); err != nil {
		return nil, err
	}
	if text, given := q["limit"]; given {
		limit, err := strconv.ParseUint(text, 10, 32)
		if err != nil || limit < 1 || limit > model.MaxListLimit {
			return nil, model.Errorf(model.CodeInvalidArgument, "list", "the limit %q must be a number from 1 to %d", clip(text), model.MaxListLimit)
		}
		req.Limit = uint32(limit)
	}
	if cursor := q["cursor"]; cursor != "" {
		if req.After, err = decodeCursor(cursor, req.Tenant, req.Prefix, req.Delimiter); err != nil {
			return nil, err
		}
	}
	return req, nil
}

// appendList appends a page in the form of API.md: files, prefixes, next_cursor
// (empty at the end).
func appendList(dst []byte, req *messages.List, reply *messages.ListReply) []byte {
	dst = append(dst, `{"files":[`...)
	for i, f := range reply.Files {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"path":`...)
		dst = appendJSONString(dst, f.Path)
		dst = append(dst, `,"size_bytes":`...)
		dst = appendJSONUint(dst, f.Row.GetSizeBytes())
		dst = append(dst, `,"tier":`...)
		dst = appendJSONUint(dst, uint64(f.Row.GetTier()))
		dst = append(dst, `,"version":`...)
		dst = appendJSONUint(dst, f.Row.GetVersion())
		dst = append(dst, `,"etag":`...)
		dst = appendETagJSON(dst, f.Row)
		dst = append(dst, `,"modified_at":`...)
		dst = appendJSONTime(dst, f.Row.GetModifiedUnixMs())
		dst = append(dst, '}')
	}
	dst = append(dst, `],"prefixes":[`...)
	for i, p := range reply.Prefixes {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(dst, p)
	}
	dst = append(dst, `],"next_cursor":"`...)
	if reply.Next != "" {
		dst = append(dst, encodeCursor(req.Tenant, req.Prefix, req.Delimiter, reply.Next)...)
	}
	return append(dst, "\"}\n"...)
}
