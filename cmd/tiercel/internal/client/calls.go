package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"tiercel/cluster/model"
)

// pageFiles is how many entries one request for a listing asks for.
const pageFiles = model.MaxListLimit

// File is one entry of a listing.
type File struct {
	Path       string    `json:"path"`
	SizeBytes  int64     `json:"size_bytes"`
	Tier       int       `json:"tier"`
	Version    uint64    `json:"version"`
	ETag       string    `json:"etag"`
	ModifiedAt time.Time `json:"modified_at"`
}

// Entry is one line of a listing: a file, or a common prefix (a "directory")
// when a delimiter was given.
type Entry struct {
	File   File
	Prefix string // not empty: this is a prefix
}

// name is what entries are ordered by.
func (e Entry) name() string {
	if e.Prefix != "" {
		return e.Prefix
	}
	return e.File.Path
}

type page struct {
	Files      []File   `json:"files"`
	Prefixes   []string `json:"prefixes"`
	NextCursor string   `json:"next_cursor"`
}

// List yields everything below prefix in byte order, page by page as it is
// consumed. With delimiter "/" what lies deeper is summed up as prefixes. It
// ends after an error.
func (c *Client) List(ctx context.Context, prefix, delimiter string) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		cursor := ""
		for {
			p, err := c.listPage(ctx, prefix, delimiter, cursor, pageFiles)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			for e := range p.entries() {
				if !yield(e, nil) {
					return
				}
			}
			if p.NextCursor == "" {
				return
			}
			if p.NextCursor == cursor {
				yield(Entry{}, model.Errorf(model.CodeInternal, "list "+prefix, "the server repeats a page of the listing"))
				return
			}
			cursor = p.NextCursor
		}
	}
}

// Find returns what the listing says of the file at path, if there is one.
func (c *Client) Find(ctx context.Context, path string) (File, bool, error) {
	// In byte order nothing that begins with path comes before path itself.
	p, err := c.listPage(ctx, path, "", "", 1)
	if err != nil || len(p.Files) == 0 || p.Files[0].Path != path {
		return File{}, false, err
	}
	return p.Files[0], true, nil
}

// Holds reports whether there is anything below a directory, whose path ends in no slash.
func (c *Client) Holds(ctx context.Context, directory string) (bool, error) {
	p, err := c.listPage(ctx, directory+"/", "", "", 1)
	return len(p.Files) > 0, err
}

func (c *Client) listPage(ctx context.Context, prefix, delimiter, cursor string, limit int) (page, error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	for name, value := range map[string]string{"prefix": prefix, "delimiter": delimiter, "cursor": cursor} {
		if value != "" {
			query.Set(name, value)
		}
	}
	k := &call{op: "list " + prefix, method: http.MethodGet, path: "/files", query: query}
	var p page
	err := c.simple(ctx, k, true, func(resp *http.Response) error { return decodeJSON(k.op, resp, &p) })
	return p, err
}

// entries merges the files and the prefixes of a page in byte order.
func (p page) entries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		files, prefixes := p.Files, p.Prefixes
		for len(files)+len(prefixes) > 0 {
			var e Entry
			if len(prefixes) == 0 || len(files) > 0 && files[0].Path < prefixes[0] {
				e, files = Entry{File: files[0]}, files[1:]
			} else {
				e, prefixes = Entry{Prefix: prefixes[0]}, prefixes[1:]
			}
			if !yield(e) {
				return
			}
		}
	}
}

// Delete removes the file at path; not_found if there is none.
func (c *Client) Delete(ctx context.Context, path string) error {
	k := &call{op: "rm " + path, method: http.MethodDelete, path: "/files" + path}
	whole, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	perhapsDone := false
	return c.repeat(whole, k.op, true, func(int) (bool, error) {
		resp, err := c.send(whole, k)
		if err == nil {
			return false, resp.Body.Close()
		}
		var f *failure
		if errors.As(err, &f) && f.ambiguous {
			perhapsDone = true
		}
		if perhapsDone && model.CodeOf(err) == model.CodeNotFound {
			return false, nil // an earlier attempt has done it, only its answer was lost
		}
		return false, err
	})
}

// copyBytesPerSecond is the slowest copying on the server that is waited for:
// nothing can be heard of its progress.
const copyBytesPerSecond = 4 << 20

// Move renames a file; the tier stays. Copy copies it, of the given size, on the
// server. Both refuse an existing target with conflict unless overwrite is set.
func (c *Client) Move(ctx context.Context, from, to string, overwrite bool) error {
	return c.transferOnServer(ctx, c.timeout, "mv", "/move", from, to, overwrite)
}

// Copy is described at Move.
func (c *Client) Copy(ctx context.Context, from, to string, size int64, overwrite bool) error {
	patience := c.timeout + time.Duration(size/copyBytesPerSecond)*time.Second
	return c.transferOnServer(ctx, patience, "cp", "/copy", from, to, overwrite)
}

func (c *Client) transferOnServer(ctx context.Context, patience time.Duration, verb, route, from, to string, overwrite bool) error {
	for _, path := range []string{from, to} {
		if err := model.CheckPath(path); err != nil {
			return err
		}
	}
	body, err := json.Marshal(map[string]any{"from": from, "to": to, "overwrite": overwrite})
	if err != nil {
		return model.Errorf(model.CodeInternal, verb, "cannot encode the request: %w", err)
	}
	k := &call{
		op: verb + " " + from, method: http.MethodPost, path: route, length: int64(len(body)),
		header: http.Header{"Content-Type": {"application/json"}},
		body:   func() (io.Reader, error) { return bytes.NewReader(body), nil },
	}
	return c.within(ctx, patience, k, false, nil)
}

// Status returns /cluster/status as the server sent it.
func (c *Client) Status(ctx context.Context) (json.RawMessage, error) {
	k := &call{op: "status", method: http.MethodGet, path: "/cluster/status"}
	var answer json.RawMessage
	err := c.simple(ctx, k, true, func(resp *http.Response) error { return decodeJSON(k.op, resp, &answer) })
	return answer, err
}

// Workers returns /cluster/workers, or one worker when id is not empty, as the
// server sent it.
func (c *Client) Workers(ctx context.Context, id string) (json.RawMessage, error) {
	path := "/cluster/workers"
	if id != "" {
		path += "/" + url.PathEscape(id)
	}
	return c.document(ctx, "workers", path)
}

// Master returns /cluster/master as the server sent it.
func (c *Client) Master(ctx context.Context) (json.RawMessage, error) {
	return c.document(ctx, "master", "/cluster/master")
}

func (c *Client) document(ctx context.Context, op, path string) (json.RawMessage, error) {
	k := &call{op: op, method: http.MethodGet, path: path, noMaster: true}
	var answer json.RawMessage
	err := c.simple(ctx, k, true, func(resp *http.Response) error { return decodeJSON(k.op, resp, &answer) })
	return answer, err
}

// Promote asks for a worker to become master.
func (c *Client) Promote(ctx context.Context, id string) (json.RawMessage, error) {
	body, err := json.Marshal(map[string]string{"worker_id": id})
	if err != nil {
		return nil, err
	}
	k := &call{
		op: "promote " + id, method: http.MethodPost, path: "/cluster/master/promote", length: int64(len(body)),
		header: http.Header{"Content-Type": {"application/json"}},
		body:   func() (io.Reader, error) { return bytes.NewReader(body), nil },
	}
	var answer json.RawMessage
	err = c.simple(ctx, k, false, func(resp *http.Response) error { return decodeJSON(k.op, resp, &answer) })
	return answer, err
}

// RemoveWorker takes a worker out of the cluster for good.
func (c *Client) RemoveWorker(ctx context.Context, id string, force bool) error {
	k := &call{op: "remove " + id, method: http.MethodDelete, path: "/cluster/workers/" + url.PathEscape(id)}
	if force {
		k.query = url.Values{"force": {"true"}}
	}
	return c.simple(ctx, k, false, func(*http.Response) error { return nil })
}

// simple performs a call whose answer is small, within Timeout as a whole.
func (c *Client) simple(ctx context.Context, k *call, repeatable bool, use func(*http.Response) error) error {
	return c.within(ctx, c.timeout, k, repeatable, use)
}

func (c *Client) within(ctx context.Context, patience time.Duration, k *call, repeatable bool, use func(*http.Response) error) error {
	whole, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.repeat(whole, k.op, repeatable, func(int) (bool, error) {
		resp, err := c.send(whole, k)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		if use == nil {
			return false, nil
		}
		err = use(resp)
		var e *model.Error
		if err != nil && !errors.As(err, &e) {
			err = c.transportError(whole, k.op, err)
		}
		return false, err
	})
}

// decodeJSON reads a small answer. An error of the connection is returned as
// it is, to be retried; anything else is final.
func decodeJSON(op string, resp *http.Response, into any) error {
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswerBytes+1))
	switch {
	case err != nil:
		return err
	case len(body) > maxAnswerBytes:
		return model.Errorf(model.CodeTooLarge, op, "the answer has more than %d bytes", maxAnswerBytes)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return model.Errorf(model.CodeInternal, op, "the answer cannot be read; is this a Tiercel server? %w", err)
	}
	return nil
}
