package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strconv"
	"unicode/utf8"

	"tiercel/cluster/model"
)

// maxJSONBytes bounds a JSON request body.
const maxJSONBytes = 64 << 10

// object is a decoded JSON request body: a flat object of strings, numbers
// and booleans.
type object map[string]any

// decodeObject reads a JSON object and nothing after it. A field that is not in
// known is refused with the nearest that is; so are one given twice, nested
// values, and text that is not Unicode (a decoder would quietly replace it).
func decodeObject(body []byte, known ...string) (object, error) {
	if !utf8.Valid(body) || loneSurrogate(body) {
		return nil, badJSON("the body is not valid UTF-8 JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, badJSON("the body must be one JSON object")
	}
	obj := make(object, len(known))
	for dec.More() {
		t, err := dec.Token()
		key, isKey := t.(string)
		if err != nil || !isKey {
			return nil, badJSON("the body is not valid JSON near byte %d", dec.InputOffset())
		}
		if !contains(known, key) {
			return nil, badJSON("unknown field %q%s", clip(key), suggest(key, known))
		}
		if _, twice := obj[key]; twice {
			return nil, badJSON("the field %q is given twice", key)
		}
		value, err := dec.Token()
		if err != nil {
			return nil, badJSON("the body is not valid JSON near byte %d", dec.InputOffset())
		}
		if _, nested := value.(json.Delim); nested {
			return nil, badJSON("the field %q must be a plain value", key)
		}
		obj[key] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, badJSON("the body is not valid JSON near byte %d", dec.InputOffset())
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, badJSON("the body goes on after its JSON object")
	}
	return obj, nil
}

// loneSurrogate reports whether JSON text escapes half a UTF-16 pair.
func loneSurrogate(s []byte) bool {
	for i := 0; i+1 < len(s); i++ {
		if s[i] != '\\' {
			continue
		}
		if s[i+1] != 'u' {
			i++
			continue
		}
		unit, ok := utf16Escape(s[i:])
		if i += 5; !ok || unit < 0xd800 || unit > 0xdfff {
			continue
		}
		if low, ok := utf16Escape(s[min(i+1, len(s)):]); unit > 0xdbff || !ok || low < 0xdc00 || low > 0xdfff {
			return true
		}
		i += 6
	}
	return false
}

// utf16Escape reads \uXXXX at the start of s.
func utf16Escape(s []byte) (uint64, bool) {
	if len(s) < 6 || s[0] != '\\' || s[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(s[2:6]), 16, 16)
	return unit, err == nil
}

// text returns a string field; absent or null is "".
func (o object) text(key string) (string, error) {
	switch v := o[key].(type) {
	case nil:
		return "", nil
	case string:
		return v, nil
	}
	return "", badJSON("the field %q must be a string", key)
}

// flag returns a boolean field; absent or null is false.
func (o object) flag(key string) (bool, error) {
	switch v := o[key].(type) {
	case nil:
		return false, nil
	case bool:
		return v, nil
	}
	return false, badJSON("the field %q must be true or false", key)
}

// tier returns a tier field, which must be there.
func (o object) tier(key string) (model.Tier, error) {
	if n, ok := o[key].(json.Number); ok {
		if t := string(n); t == "1" || t == "2" || t == "3" {
			return model.Tier(t[0] - '0'), nil
		}
	}
	return 0, badJSON("the field %q must be 1 (critical), 2 (important) or 3 (rebuildable)", key)
}

// path returns a field that must be a file path.
func (o object) path(key string) (string, error) {
	p, err := o.text(key)
	if err != nil {
		return "", err
	}
	if err := model.CheckPath(p); err != nil {
		return "", badJSON("the field %q: %s", key, messageOf(err))
	}
	return p, nil
}

func messageOf(err error) string {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

func badJSON(format string, args ...any) error {
	return model.Errorf(model.CodeInvalidArgument, "read body", format, args...)
}

// count returns a field that counts something; absent or null is 0.
func (o object) count(key string) (uint64, error) {
	switch v := o[key].(type) {
	case nil:
		return 0, nil
	case json.Number:
		if n, err := strconv.ParseUint(string(v), 10, 63); err == nil {
			return n, nil
		}
	}
	return 0, badJSON("the field %q must be a whole number, 0 or more", key)
}

// readObject reads the JSON body of a request.
func (c *call) readObject(known ...string) (object, error) {
	text, err := c.readJSON()
	if err != nil {
		return nil, err
	}
	return decodeObject(text, known...)
}

// readOptionalObject does the same for a request that may have no body.
func (c *call) readOptionalObject(known ...string) (object, error) {
	text, err := c.readJSON()
	if err != nil || len(bytes.TrimSpace(text)) == 0 {
		return object{}, err
	}
	return decodeObject(text, known...)
}

// readJSON reads a body that should be JSON.
func (c *call) readJSON() ([]byte, error) {
	err := c.expectJSON()
	if err == nil {
		_, err = strictQuery(c.query) // what a JSON body says is not said in the query
	}
	if err != nil {
		c.leaveBody()
		return nil, err
	}
	size, err := c.bodySize()
	if err != nil {
		return nil, err
	}
	b := c.openBody(size)
	text, err := io.ReadAll(io.LimitReader(b, maxJSONBytes+1))
	if !b.close() {
		c.leaveBody()
	}
	switch fault := b.failure(); {
	case fault != nil:
		c.ctx.SetConnectionClose()
		return nil, fault
	case err != nil:
		return nil, err
	case len(text) > maxJSONBytes:
		return nil, errJSONTooLarge()
	}
	c.said = text
	return text, nil
}

// expectJSON refuses a JSON body by its declared size or type.
func (c *call) expectJSON() error {
	size, err := c.bodySize()
	if err != nil {
		return err
	}
	if size > maxJSONBytes {
		return errJSONTooLarge()
	}
	if enc := c.h.contentEncoding; len(enc) > 0 && !equalFold(enc, "identity") {
		return badHeader("the Content-Encoding %q is not supported; send plain JSON", clip(string(enc)))
	}
	return nil
}

func errJSONTooLarge() error {
	return model.Errorf(model.CodeTooLarge, "read body", "the JSON body may have at most %d bytes", maxJSONBytes)
}
