package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"unicode/utf8"
)

// maxTreeDepth bounds the nesting of a JSON document.
const maxTreeDepth = 8

// decodeTree reads one JSON object with what is nested in it, and nothing after it. A
// field that is given twice is refused, and text that is not Unicode.
func decodeTree(body []byte) (tree, error) {
	if !utf8.Valid(body) || loneSurrogate(body) {
		return nil, badJSON("the body is not valid UTF-8 JSON")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, badJSON("the body must be one JSON object")
	}
	obj, err := decodeBranch(dec, 1)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, badJSON("the body goes on after its JSON object")
	}
	return obj, nil
}

// decodeBranch reads an object whose brace has been read.
func decodeBranch(dec *json.Decoder, depth int) (tree, error) {
	obj := tree{}
	for dec.More() {
		t, err := dec.Token()
		key, isKey := t.(string)
		if err != nil || !isKey {
			return nil, badToken(dec)
		}
		if _, twice := obj[key]; twice {
			return nil, badJSON("the field %q is given twice", clip(key))
		}
		if obj[key], err = decodeLeaf(dec, depth); err != nil {
			return nil, err
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, badToken(dec)
	}
	return obj, nil
}

func decodeLeaf(dec *json.Decoder, depth int) (any, error) {
	value, err := dec.Token()
	if err != nil {
		return nil, badToken(dec)
	}
	delim, nested := value.(json.Delim)
	switch {
	case !nested:
		return value, nil
	case depth >= maxTreeDepth:
		return nil, badJSON("the body is nested deeper than %d levels", maxTreeDepth)
	case delim == '{':
		return decodeBranch(dec, depth+1)
	}
	list := []any{}
	for dec.More() {
		item, err := decodeLeaf(dec, depth+1)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	if _, err := dec.Token(); err != nil {
		return nil, badToken(dec)
	}
	return list, nil
}

func badToken(dec *json.Decoder) error {
	return badJSON("the body is not valid JSON near byte %d", dec.InputOffset())
}
