package clienttest

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sort"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tiercel/cluster/model"
)

const base = "/api/v1/storage"

// File is what the server holds of one path.
type File struct {
	Content  []byte
	Version  uint64
	Tier     string
	Meta     http.Header
	Modified time.Time
}

// ETag is the file's entity tag.
func (f File) ETag() string { return fmt.Sprintf(`"v%d"`, f.Version) }

// Checksum is the crc32c in the API's form.
func Checksum(content []byte) string {
	sum := crc32.Checksum(content, crc32.MakeTable(crc32.Castagnoli))
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, sum))
}

// Fault says what goes wrong with one request. The zero value: nothing.
type Fault struct {
	Status     int    // answered instead of doing it
	Code       string // of that answer; empty: none in the API's form
	RetryAfter string
	ResetFirst bool // the connection breaks before anything is done
	ResetAfter bool // it is done, but the connection breaks before the answer
	FlipBit    bool // one bit of the content is wrong on its way in or out
	CutAfter   int  // a download breaks after so many bytes
	IgnoreRange,
	OmitChecksum bool
	Stall  bool // the answer never comes
	Before func()
}

// Server is the fake. Its fields may be changed between requests under Lock.
type Server struct {
	*httptest.Server
	sync.Mutex
	Tenants   map[string]map[string]File
	PageLimit int // at most so many entries a page
	Requests  []string
	Asked     []Asked // of what Say has answered
	// Fault is asked before each request is done.
	Fault func(r *http.Request) Fault

	version uint64
	keys    map[string]File
	answers map[string][]Answer
	done    chan struct{} // closed when the test ends
}

// New starts a server that ends with the test.
func New(t testing.TB) *Server {
	s := &Server{Tenants: map[string]map[string]File{}, PageLimit: 1000, keys: map[string]File{}, done: make(chan struct{})}
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		close(s.done)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// Store puts a file in as if by an earlier request.
func (s *Server) Store(path string, content string) File {
	s.Lock()
	defer s.Unlock()
	return s.store("default", path, []byte(content), http.Header{})
}

// Files returns the contents of the default tenant by path.
func (s *Server) Files() map[string]string {
	s.Lock()
	defer s.Unlock()
	out := map[string]string{}
	for path, f := range s.Tenants["default"] {
		out[path] = string(f.Content)
	}
	return out
}

// Count is the number of requests so far that began with prefix, such as "PUT ".
func (s *Server) Count(prefix string) int {
	s.Lock()
	defer s.Unlock()
	n := 0
	for _, r := range s.Requests {
		if strings.HasPrefix(r, prefix) {
			n++
		}
	}
	return n
}

func (s *Server) store(tenant, path string, content []byte, h http.Header) File {
	s.version++
	f := File{Content: content, Version: s.version, Tier: h.Get("X-Storage-Tier"), Meta: http.Header{}, Modified: time.Unix(1700000000, 0).UTC()}
	for name, v := range h {
		if strings.HasPrefix(name, "X-Meta-") {
			f.Meta[name] = v
		}
	}
	if f.Tier == "" {
		f.Tier = "1"
	}
	if s.Tenants[tenant] == nil {
		s.Tenants[tenant] = map[string]File{}
	}
	s.Tenants[tenant][path] = f
	return f
}

func fail(w http.ResponseWriter, status int, code, message string, details ...map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if code == "" {
		_, _ = io.WriteString(w, "<html>nothing here</html>")
		return
	}
	told := map[string]any{"limit_bytes": 5}
	if len(details) > 0 && details[0] != nil {
		told = details[0]
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{
		"code": code, "message": message, "request_id": "r-1", "details": told,
	}})
}

// reset breaks the connection without an answer.
func reset(w http.ResponseWriter) {
	_ = w
	panic(http.ErrAbortHandler)
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	s.Lock()
	s.Requests = append(s.Requests, r.Method+" "+r.URL.Path)
	fault := Fault{}
	if s.Fault != nil {
		fault = s.Fault(r)
	}
	s.Unlock()
	if fault.Before != nil {
		fault.Before()
	}
	switch {
	case fault.ResetFirst:
		reset(w)
	case fault.Stall:
		<-s.done
		return
	case fault.Status != 0:
		_, _ = io.Copy(io.Discard, r.Body)
		if fault.RetryAfter != "" {
			w.Header().Set("Retry-After", fault.RetryAfter)
		}
		fail(w, fault.Status, fault.Code, "injected")
		return
	}
	tenant := r.Header.Get("X-Tenant-ID")
	if tenant == "" {
		tenant = "default"
	}
	switch route := strings.TrimPrefix(r.URL.Path, base); {
	case s.said(w, r, route):
	case route == "/files" && r.Method == http.MethodGet:
		s.list(w, r, tenant)
	case strings.HasPrefix(route, "/files/"):
		s.file(w, r, tenant, strings.TrimPrefix(route, "/files"), fault)
	case (route == "/move" || route == "/copy") && r.Method == http.MethodPost:
		s.transfer(w, r, tenant, route == "/move", fault)
	case route == "/cluster/status":
		_, _ = io.WriteString(w, statusAnswer)
	default:
		fail(w, 404, "not_found", "no such route")
	}
}

const statusAnswer = `{"cluster_id":"c-1","epoch":"1.2","state":"healthy","master":{"worker_id":"n-1","address":"127.0.0.1:8892"},
"workers":{"total":1,"healthy":1},"capacity":{"total_bytes":1099511627776,"used_bytes":1048576,"free_bytes":1099510579200},
"files":{"count":3,"logical_bytes":12,"raw_bytes":512},"warnings":["tier 1 has one copy only"],"future":{"field":true}}`

func (s *Server) file(w http.ResponseWriter, r *http.Request, tenant, path string, fault Fault) {
	if err := model.CheckPath(path); err != nil {
		fail(w, 400, "invalid_argument", err.Error())
		return
	}
	switch r.Method {
	case http.MethodPut:
		s.put(w, r, tenant, path, fault)
	case http.MethodGet, http.MethodHead:
		s.get(w, r, tenant, path, fault)
	case http.MethodDelete:
		s.Lock()
		_, ok := s.Tenants[tenant][path]
		delete(s.Tenants[tenant], path)
		s.Unlock()
		if fault.ResetAfter {
			reset(w)
		}
		if !ok {
			fail(w, 404, "not_found", "there is no file "+path)
			return
		}
		w.WriteHeader(204)
	}
}

func (s *Server) put(w http.ResponseWriter, r *http.Request, tenant, path string, fault Fault) {
	content, err := io.ReadAll(r.Body)
	if err != nil {
		fail(w, 400, "invalid_argument", "the body is not whole")
		return
	}
	if fault.FlipBit && len(content) > 0 {
		content[len(content)/2] ^= 1
	}
	if want := r.Header.Get("X-Checksum-Crc32c"); want != "" && want != Checksum(content) {
		fail(w, 400, "invalid_argument", "the checksum does not match the body")
		return
	}
	s.Lock()
	key := r.Header.Get("Idempotency-Key")
	f, repeated := s.keys[tenant+" "+path+" "+key]
	if !repeated || key == "" {
		f = s.store(tenant, path, content, r.Header)
		s.keys[tenant+" "+path+" "+key] = f
	}
	s.Unlock()
	if fault.ResetAfter {
		reset(w)
	}
	tier, _ := strconv.Atoi(f.Tier)
	w.Header().Set("ETag", f.ETag())
	w.WriteHeader(201)
	_ = json.NewEncoder(w).Encode(map[string]any{
		"path": path, "version": f.Version, "epoch": "1.1", "size_bytes": len(f.Content), "etag": f.ETag(),
		"checksum_crc32c": Checksum(f.Content), "modified_at": f.Modified,
		"tier": map[string]any{"asked": tier, "achieved": tier, "copies_wanted": 2, "copies_durable": 1},
	})
}

func (s *Server) get(w http.ResponseWriter, r *http.Request, tenant, path string, fault Fault) {
	s.Lock()
	f, ok := s.Tenants[tenant][path]
	s.Unlock()
	if !ok {
		fail(w, 404, "not_found", "there is no file "+path)
		return
	}
	if m := r.Header.Get("If-Match"); m != "" && m != f.ETag() {
		fail(w, 412, "precondition_failed", "the file is another version")
		return
	}
	h := w.Header()
	h.Set("ETag", f.ETag())
	h.Set("X-Storage-Tier", f.Tier)
	h.Set("X-Storage-Version", strconv.FormatUint(f.Version, 10))
	h.Set("Last-Modified", f.Modified.Format(http.TimeFormat))
	if !fault.OmitChecksum {
		h.Set("X-Checksum-Crc32c", Checksum(f.Content))
	}
	body, status := append([]byte(nil), f.Content...), 200
	if spec := r.Header.Get("Range"); spec != "" && !fault.IgnoreRange {
		from, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(spec, "bytes="), "-"))
		if err != nil || from >= len(body) {
			fail(w, 416, "range_not_satisfiable", "beyond the end")
			return
		}
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", from, len(body)-1, len(body)))
		body, status = body[from:], 206
	}
	if fault.FlipBit && len(body) > 0 {
		body[len(body)/2] ^= 1
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	if fault.CutAfter > 0 && fault.CutAfter < len(body) {
		_, _ = w.Write(body[:fault.CutAfter])
		_ = http.NewResponseController(w).Flush()
		reset(w)
	}
	_, _ = w.Write(body)
}

func (s *Server) transfer(w http.ResponseWriter, r *http.Request, tenant string, move bool, fault Fault) {
	var req struct {
		From, To  string
		Overwrite bool
	}
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		fail(w, 400, "invalid_argument", err.Error())
		return
	}
	s.Lock()
	f, ok := s.Tenants[tenant][req.From]
	_, exists := s.Tenants[tenant][req.To]
	if ok && (!exists || req.Overwrite) {
		h := f.Meta.Clone()
		h.Set("X-Storage-Tier", f.Tier)
		s.store(tenant, req.To, f.Content, h)
		if move {
			delete(s.Tenants[tenant], req.From)
		}
	}
	s.Unlock()
	switch {
	case fault.ResetAfter:
		reset(w)
	case !ok:
		fail(w, 404, "not_found", "there is no file "+req.From)
	case exists && !req.Overwrite:
		fail(w, 409, "conflict", "there is a file "+req.To+" already")
	default:
		_, _ = io.WriteString(w, "{}")
	}
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, tenant string) {
	q := r.URL.Query()
	prefix, delimiter := q.Get("prefix"), q.Get("delimiter")
	if err := model.CheckPrefix(prefix); err != nil {
		fail(w, 400, "invalid_argument", err.Error())
		return
	}
	after, _ := url.QueryUnescape(strings.TrimPrefix(q.Get("cursor"), "c:"))
	s.Lock()
	defer s.Unlock()
	names := map[string]bool{} // true: a prefix
	for path := range s.Tenants[tenant] {
		if !strings.HasPrefix(path, prefix) {
			continue
		}
		if i := strings.Index(path[len(prefix):], "/"); delimiter != "" && i >= 0 {
			names[path[:len(prefix)+i+1]] = true
		} else {
			names[path] = false
		}
	}
	var order []string
	for name := range names {
		if name > after {
			order = append(order, name)
		}
	}
	sort.Strings(order)
	files, prefixes, next := []any{}, []string{}, ""
	limit := s.PageLimit
	if asked, err := strconv.Atoi(q.Get("limit")); err == nil {
		limit = min(limit, asked)
	}
	if len(order) > limit {
		order = order[:limit]
		next = "c:" + url.QueryEscape(order[limit-1])
	}
	for _, name := range order {
		if names[name] {
			prefixes = append(prefixes, name)
			continue
		}
		f := s.Tenants[tenant][name]
		tier, _ := strconv.Atoi(f.Tier)
		files = append(files, map[string]any{"path": name, "size_bytes": len(f.Content), "tier": tier,
			"version": f.Version, "etag": f.ETag(), "modified_at": f.Modified})
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"files": files, "prefixes": prefixes, "next_cursor": next})
}
