package drill

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/stretchr/testify/require"
)

// document is what the walk needs of an OpenAPI document; the rest of it is the
// validator's.
type document struct {
	Paths      map[string]map[string]json.RawMessage
	Components struct {
		Parameters map[string]parameter
	}
}

type parameter struct {
	Ref      string `json:"$ref"`
	Name     string
	In       string
	Required bool
	Example  any
}

type operation struct {
	method, path string
	parameters   []parameter
	OperationID  string
	RequestBody  struct {
		Required bool
		Content  map[string]struct{ Example any }
	}
	Responses map[string]json.RawMessage
	Role      string `json:"x-needed-role"` // the least; empty: no token is needed
	Scope     string `json:"x-needed-scope"`
}

// maps are the places in answers whose names are data, and a whole document.
var maps = []string{
	"$.body.error.details.*", "$.body.candidates[*].terms.*", "$.body.capacity.by_disk_type.*", "$.body.replication.debt_bytes.*", "$.body.features.*",
	"$.body.openapi", "$.body.info", "$.body.tags", "$.body.servers", "$.body.paths", "$.body.components", "$.body.security",
}

// everywhere are headers that any answer may have.
var everywhere = []string{"Server", "X-Request-Id", "X-Content-Type-Options", "Content-Security-Policy", "X-Storage-Consistency", "Vary", "Cache-Control"}

// readContract prepares the validator of the document that a node serves.
func readContract(t *testing.T, text []byte) ([]*operation, validator.Validator) {
	t.Helper()
	parsed, err := libopenapi.NewDocument(text)
	require.NoError(t, err)
	// Strict: a field of an answer that the document does not have is an error.
	v, errs := validator.NewValidator(parsed, config.WithStrictMode(), config.WithFormatAssertions(),
		config.WithStrictIgnorePaths(maps...), config.WithStrictIgnoredHeadersExtra(everywhere...))
	require.Empty(t, errs)
	valid, problems := v.ValidateDocument()
	require.True(t, valid, "the document is not OpenAPI 3.1: %v", problems)

	var doc document
	require.NoError(t, json.Unmarshal(text, &doc))
	return doc.operations(t), v
}

func (d *document) operations(t *testing.T) []*operation {
	t.Helper()
	var out []*operation
	for path, methods := range d.Paths {
		var shared struct{ Parameters []parameter }
		if raw := methods["parameters"]; raw != nil {
			require.NoError(t, json.Unmarshal(raw, &shared.Parameters))
		}
		for method, raw := range methods {
			if method == "parameters" {
				continue
			}
			var own struct{ Parameters []parameter }
			o := &operation{method: strings.ToUpper(method), path: path}
			require.NoError(t, json.Unmarshal(raw, &own))
			require.NoError(t, json.Unmarshal(raw, o))
			for _, p := range slices.Concat(shared.Parameters, own.Parameters) {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					p = d.Components.Parameters[name]
				}
				o.parameters = append(o.parameters, p)
			}
			out = append(out, o)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].path+out[i].method < out[j].path+out[j].method })
	return out
}

// optional reports whether the operation has more in its example than it must.
func (o *operation) optional() bool {
	if !o.RequestBody.Required && len(o.RequestBody.Content) > 0 {
		return true
	}
	return slices.ContainsFunc(o.parameters, func(p parameter) bool { return !p.Required && p.Example != nil })
}

// request makes the operation's example, with everything it names or only what must be
// there. live stands for examples that cannot be known before, such as ids.
func (o *operation) request(base string, everything bool, live *strings.Replacer) (*http.Request, error) {
	path, query, header := o.path, url.Values{}, http.Header{}
	for _, p := range o.parameters {
		switch {
		case p.Example == nil && p.Required:
			return nil, fmt.Errorf("the parameter %s of %s needs an example in openapi.json", p.Name, o.OperationID)
		case p.Example == nil, !p.Required && !everything:
			continue
		}
		value := live.Replace(fmt.Sprint(plainNumber(p.Example)))
		switch p.In {
		case "path":
			path = strings.ReplaceAll(path, "{"+p.Name+"}", url.PathEscape(value))
		case "query":
			query.Set(p.Name, value)
		case "header":
			header.Set(p.Name, value)
		default:
			return nil, fmt.Errorf("the parameter %s of %s is in %q", p.Name, o.OperationID, p.In)
		}
	}
	target := base + path
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	body, contentType, err := o.body(everything, live)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(o.method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header = header
	if body == nil {
		req.Body = nil
	} else {
		req.Header.Set("Content-Type", contentType)
	}
	return req, nil
}

func (o *operation) body(everything bool, live *strings.Replacer) (body []byte, contentType string, err error) {
	if !o.RequestBody.Required && !everything {
		return nil, "", nil
	}
	for contentType, media := range o.RequestBody.Content {
		switch example := media.Example.(type) {
		case nil:
			continue
		case string:
			if strings.Contains(contentType, "*") {
				contentType = "application/octet-stream"
			}
			return []byte(live.Replace(example)), contentType, nil
		default:
			body, err = json.Marshal(example)
			return []byte(live.Replace(string(body))), contentType, err
		}
	}
	if o.RequestBody.Required {
		return nil, "", fmt.Errorf("the body of %s needs an example in openapi.json", o.OperationID)
	}
	return nil, "", nil
}

// plainNumber keeps a whole number from being written as 1e+06.
func plainNumber(v any) any {
	if f, ok := v.(float64); ok && f == float64(int64(f)) {
		return int64(f)
	}
	return v
}
