package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	validator "github.com/pb33f/libopenapi-validator"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/internal/procs"
)

// contract walks the OpenAPI document that a cluster serves: every example in it is
// sent, and what comes back must be what it says. Operations that are added to the
// document are walked without a change here, unless something must be there first
// (prepare) or something else than success is right (refused).
type contract struct {
	t         *testing.T
	c         *procs.Cluster
	validator validator.Validator
	base      string
	via       http.RoundTripper
	token     func(*operation) string // of who sends an operation's example; nil: of who prepares it
	leaving   string                  // the worker that is removed in the end
}

// What the document's examples stand for.
const (
	exampleWorker = "n-0123456789abcdef"
	exampleJob    = "4711"
	exampleFile   = "/files/models/example.bin"
)

// prepare makes what the example of an operation needs, each time before it is sent,
// and returns pairs of what is written in the document and what is meant here.
var prepare = map[string]func(*contract) []string{
	"getFile": (*contract).file, "headFile": (*contract).file, "deleteFile": (*contract).file, "copyFile": (*contract).file, "retierFiles": (*contract).file,
	"moveFile": func(w *contract) []string {
		w.do("DELETE", "/files/models/renamed.bin", "") // of the time before
		return w.file()
	},
	"showWorker": (*contract).worker, "startDrain": (*contract).worker, "promote": (*contract).worker,
	"removeWorker": (*contract).leaves,
	"cancelDrain": func(w *contract) []string {
		pair := w.worker()
		w.must("POST", "/cluster/workers/"+pair[1]+"/drain", "")
		return pair
	},
	"showJob": (*contract).job, "pauseJob": (*contract).job, "cancelJob": (*contract).job,
	"resumeJob": func(w *contract) []string {
		pair := w.job()
		w.must("POST", "/cluster/jobs/"+pair[1]+"/pause", "")
		return pair
	},
}

// whole are operations that want more than the document can say is required.
var whole = map[string]string{"explainPlacement": "a path, a tier, or both"}

// refused are operations whose example cannot succeed here, with the status that is
// right, and why.
var refused = map[string]int{}

// again are refusals that pass by themselves, beside 503 and 429, and why.
var again = map[string]int{
	"promote":      http.StatusConflict, // a follower is a few entries behind now and then
	"removeWorker": http.StatusConflict, // its copies are not all elsewhere yet
}

// last are operations after which the cluster is not as it was.
var last = []string{"removeWorker"}

func TestContract_EveryExampleInTheDocumentIsAnsweredAsItSays(t *testing.T) {
	c := cluster(t, 3)
	// The document says that a token is needed; one that nobody asks for does no harm.
	nobody := func(*operation) string { return "asked-for-by-nobody" }
	w := &contract{t: t, c: c, base: c.Nodes[0].Server(), via: http.DefaultTransport, token: nobody}
	w.walk(w.read())
}

// read fetches the document and prepares its validator.
func (w *contract) read() []*operation {
	w.t.Helper()
	operations, v := readContract(w.t, w.get("/openapi.json"))
	w.validator = v
	require.Greater(w.t, len(operations), 30)
	slices.SortStableFunc(operations, func(a, b *operation) int {
		return slices.Index(last, a.OperationID) - slices.Index(last, b.OperationID)
	})
	return operations
}

// walk tries every operation, with what its example must have and with all it may have.
func (w *contract) walk(operations []*operation) {
	t := w.t
	for _, o := range operations {
		t.Run(o.OperationID, func(t *testing.T) {
			w.t = t
			if whole[o.OperationID] == "" {
				w.try(o, false)
			}
			if o.optional() {
				w.try(o, true)
			}
		})
	}
	w.t = t
}

// try sends the example of an operation and holds the answer to the document.
func (w *contract) try(o *operation, everything bool) {
	w.t.Helper()
	var pairs []string
	if make := prepare[o.OperationID]; make != nil {
		pairs = make(w)
	}
	req, resp, body := w.send(again[o.OperationID], func() *http.Request {
		if again[o.OperationID] != 0 { // who leads, and who does not, may have changed
			pairs = prepare[o.OperationID](w)
		}
		req, err := o.request(w.base, everything, strings.NewReplacer(pairs...))
		require.NoError(w.t, err)
		bear(req, w.token(o))
		return req
	})
	want, isRefused := refused[o.OperationID]
	if isRefused {
		assert.Equal(w.t, want, resp.StatusCode, "%s", body)
	} else {
		assert.Equal(w.t, 2, resp.StatusCode/100, "%s %s: %s %s", req.Method, req.URL, resp.Status, body)
		assert.Contains(w.t, o.Responses, strconv.Itoa(resp.StatusCode), "a status that the document does not name")
	}
	if valid, problems := w.validator.ValidateHttpRequestSync(req); !valid {
		for _, p := range problems {
			w.t.Errorf("the example request: %s: %s %v", p.Message, p.Reason, p.SchemaValidationErrors)
		}
	}
	w.hold(req, resp, body)
	w.record(o, resp, body)
}

// hold compares an answer with the document.
func (w *contract) hold(req *http.Request, resp *http.Response, body []byte) {
	w.t.Helper()
	if valid, problems := w.validator.ValidateHttpResponse(req, resp); !valid {
		for _, p := range problems {
			w.t.Errorf("the answer %s: %s: %s %v", resp.Status, p.Message, p.Reason, p.SchemaValidationErrors)
		}
		w.t.Logf("it was %s", body)
	}
}

// bear adds a token to a request; empty: none.
func bear(req *http.Request, token string) {
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
}

// send repeats a request while it is answered 503 or 429, as those answers ask for, or
// by the status wait.
func (w *contract) send(wait int, request func() *http.Request) (*http.Request, *http.Response, []byte) {
	w.t.Helper()
	var resp *http.Response
	var body []byte
	procs.Until(procs.Patience, func() bool {
		var err error
		resp, err = w.via.RoundTrip(request())
		require.NoError(w.t, err)
		body, err = io.ReadAll(resp.Body)
		require.NoError(w.t, err)
		require.NoError(w.t, resp.Body.Close())
		if resp.StatusCode == wait {
			return false
		}
		return resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusTooManyRequests
	})
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return request(), resp, body
}

func (w *contract) do(method, path, body string) (int, []byte) {
	w.t.Helper()
	_, resp, answer := w.send(0, func() *http.Request {
		req, err := http.NewRequest(method, w.base+"/api/v1/storage"+path, strings.NewReader(body))
		require.NoError(w.t, err)
		bear(req, w.token(nil))
		return req
	})
	return resp.StatusCode, answer
}

// get reads what is not below the base path.
func (w *contract) get(path string) []byte {
	w.t.Helper()
	_, resp, answer := w.send(0, func() *http.Request {
		req, err := http.NewRequest("GET", w.base+path, nil)
		require.NoError(w.t, err)
		bear(req, w.token(nil))
		return req
	})
	require.Equal(w.t, 200, resp.StatusCode, "%s", answer)
	return answer
}

func (w *contract) must(method, path, body string) []byte {
	w.t.Helper()
	status, answer := w.do(method, path, body)
	require.Equal(w.t, 2, status/100, "%s %s: %d %s", method, path, status, answer)
	return answer
}

// file stores what the examples read.
func (w *contract) file() []string {
	w.must("PUT", exampleFile, "hello")
	return nil
}

// worker names a live worker: the last of those that follow.
// leaves drains a worker, the same one each time: its open volumes are to be sealed, and
// its copies to be elsewhere.
func (w *contract) leaves() []string {
	w.t.Helper()
	if w.leaving == "" {
		w.leaving = w.worker()[1]
	}
	w.do("POST", "/cluster/workers/"+w.leaving+"/drain", "") // it may have left by now
	return []string{exampleWorker, w.leaving}
}

func (w *contract) worker() []string {
	w.t.Helper()
	var list struct {
		Workers []struct {
			ID   string `json:"worker_id"`
			Role string
		}
	}
	require.NoError(w.t, json.Unmarshal(w.must("GET", "/cluster/workers", ""), &list))
	for _, k := range slices.Backward(list.Workers) {
		if k.Role != "master" {
			w.do("DELETE", "/cluster/workers/"+k.ID+"/drain", "") // of the time before
			return []string{exampleWorker, k.ID}
		}
	}
	require.Fail(w.t, "there is no worker but the master", "%+v", list)
	return nil
}

// job starts one that lasts: where three copies lie on three workers, none can be emptied.
func (w *contract) job() []string {
	w.t.Helper()
	w.file()
	var j struct {
		ID string `json:"job_id"`
	}
	require.NoError(w.t, json.Unmarshal(w.must("POST", "/cluster/workers/"+w.worker()[1]+"/drain", ""), &j))
	require.NotEmpty(w.t, j.ID)
	return []string{exampleJob, j.ID}
}

// record keeps the answers in the directory DRILL_RECORD, to make examples of.
func (w *contract) record(o *operation, resp *http.Response, body []byte) {
	dir := os.Getenv("DRILL_RECORD")
	if dir == "" || !strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
		return
	}
	require.NoError(w.t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%s.%d.json", o.OperationID, resp.StatusCode)), body, 0o644))
}
