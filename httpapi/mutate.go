package httpapi

import (
	"strings"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
)

// deleteFile answers DELETE /files/{path}: 204.
func (c *call) deleteFile() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	tenant, path, err := c.filePath()
	if err != nil {
		return err
	}
	cond, err := readWriteConditions(&c.h, false)
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	result, err := c.s.gw.Delete(ctx, tenant, path, cond.message())
	if err == nil {
		err = result.Err("delete")
	}
	if err != nil {
		return err
	}
	c.ctx.Response.SetStatusCode(fasthttp.StatusNoContent)
	return nil
}

// relocation is the body of a move or a copy.
type relocation struct {
	tenant, from, to string
	overwrite        bool
}

func (c *call) readRelocation() (r relocation, err error) {
	if r.tenant, err = readTenant(c.h.tenant); err != nil {
		return r, err
	}
	obj, err := c.readObject("from", "to", "overwrite")
	if err != nil {
		return r, err
	}
	if r.from, err = obj.path("from"); err != nil {
		return r, err
	}
	if r.to, err = obj.path("to"); err != nil {
		return r, err
	}
	r.overwrite, err = obj.flag("overwrite")
	return r, err
}

// moveFile answers POST /move: 200 with {from, path, version, modified_at}.
func (c *call) moveFile() error {
	r, err := c.readRelocation()
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	result, err := c.s.gw.Move(ctx, r.tenant, r.from, r.to, r.overwrite)
	if err == nil {
		err = result.Err("move")
	}
	if err != nil {
		return err
	}
	b := append(c.scratch[:0], `{"from":`...)
	b = appendJSONString(b, r.from)
	b = append(b, `,"path":`...)
	b = appendJSONString(b, r.to)
	b = append(b, `,"version":`...)
	b = appendJSONUint(b, result.GetVersion())
	b = append(b, `,"modified_at":`...)
	b = appendJSONTime(b, result.GetModifiedUnixMs())
	c.scratch = append(b, "}\n"...)
	c.answerJSON(fasthttp.StatusOK)
	return nil
}

// copyFile answers POST /copy: 201 or 200 with the receipt of the copy.
func (c *call) copyFile() error {
	r, err := c.readRelocation()
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.putTime(-1))
	defer cancel()
	reply, err := c.s.gw.Copy(ctx, r.tenant, r.from, r.to, r.overwrite)
	if err = putError(reply, err); err != nil {
		return err
	}
	return c.answerReceipt(r.to, reply)
}

// retierFiles answers POST /retier: 200 with what was moved. next is the path
// that is still to be done when the time ran out: ask again.
func (c *call) retierFiles() error {
	req, err := c.readRetier()
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.putTime(-1))
	defer cancel()
	result, err := c.s.gw.Retier(ctx, req)
	if err != nil {
		return err
	}
	b := append(c.scratch[:0], `{"moved":`...)
	b = appendJSONUint(b, uint64(result.Moved))
	b = append(b, `,"unchanged":`...)
	b = appendJSONUint(b, uint64(result.Unchanged))
	b = append(b, `,"moved_bytes":`...)
	b = appendJSONUint(b, uint64(result.Bytes))
	b = append(b, `,"failed":[`...)
	for i, f := range result.Failed {
		if i > 0 {
			b = append(b, ',')
		}
		e := clientError(f.Err)
		b = append(b, `{"path":`...)
		b = appendJSONString(b, f.Path)
		b = append(b, `,"code":`...)
		b = appendJSONString(b, string(e.Code))
		b = append(b, `,"message":`...)
		b = appendJSONString(b, e.Message)
		b = append(b, '}')
	}
	b = append(b, `],"next":`...)
	b = appendJSONString(b, result.Next)
	c.scratch = append(b, "}\n"...)
	c.answerJSON(fasthttp.StatusOK)
	return nil
}

func (c *call) readRetier() (*model.RetierRequest, error) {
	tenant, err := readTenant(c.h.tenant)
	if err != nil {
		return nil, err
	}
	obj, err := c.readObject("path", "prefix", "after", "tier")
	if err != nil {
		return nil, err
	}
	req := &model.RetierRequest{Tenant: tenant}
	if req.Tier, err = obj.tier("tier"); err != nil {
		return nil, err
	}
	_, onePath := obj["path"]
	_, prefix := obj["prefix"]
	switch {
	case onePath == prefix:
		return nil, badJSON("give either \"path\" or \"prefix\"")
	case onePath && obj["after"] != nil:
		return nil, badJSON("the field \"after\" goes with \"prefix\": it is the \"next\" of the answer before")
	case onePath:
		req.Path, err = obj.path("path")
		return req, err
	}
	if req.After, err = obj.text("after"); err != nil {
		return nil, err
	}
	if req.After != "" && !strings.HasPrefix(req.After, prefixOf(obj)) {
		return nil, badJSON("the field \"after\" does not begin with \"prefix\"; it is the \"next\" of the answer before")
	}
	if req.Prefix, err = obj.text("prefix"); err != nil {
		return nil, err
	}
	if req.Prefix == "" {
		return nil, badJSON("the field \"prefix\" is empty; write \"/\" for all files")
	}
	return req, model.CheckPrefix(req.Prefix)
}

// prefixOf is the prefix of a request, "" when it is none.
func prefixOf(obj object) string {
	prefix, _ := obj["prefix"].(string)
	return prefix
}
