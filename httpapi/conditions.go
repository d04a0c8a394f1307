package httpapi

import (
	"net/http"
	"time"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// noVersion stands in a list of versions for tags that can match none: versions
// are log indexes, from 1.
const noVersion = 0

// writeConditions are the preconditions of a write, judged in apply.
type writeConditions struct {
	mustNotExist bool     // If-None-Match: *
	mustExist    bool     // If-Match: *
	versions     []uint64 // If-Match: tags; {noVersion} when none of them is ours
}

// readWriteConditions reads If-Match and If-None-Match of a PUT or DELETE. The
// date conditions are refused rather than ignored: who sends one counts on it.
func readWriteConditions(h *headers, mayCreate bool) (writeConditions, error) {
	var w writeConditions
	if h.ifUnmodifiedSince != nil || h.ifModifiedSince != nil {
		return w, badTag("a write takes no date condition; use If-Match with the ETag")
	}
	match, err := parseTagList("If-Match", h.ifMatch)
	if err != nil {
		return w, err
	}
	noneMatch, err := parseTagList("If-None-Match", h.ifNoneMatch)
	if err != nil {
		return w, err
	}
	switch {
	case noneMatch.given && (!mayCreate || !noneMatch.any):
		return w, badTag("If-None-Match takes only \"*\", and only with PUT")
	case noneMatch.any && match.given:
		return w, badTag("If-Match and If-None-Match: * cannot both hold")
	}
	w.mustNotExist, w.mustExist = noneMatch.any, match.any
	for _, t := range match.tags {
		if t.ours && !t.weak {
			w.versions = append(w.versions, t.version)
		}
	}
	if len(match.tags) > 0 && len(w.versions) == 0 {
		w.versions = []uint64{noVersion}
	}
	return w, nil
}

// message is the form of the conditions in a command, nil for none.
func (w writeConditions) message() *messages.Conditions {
	if !w.mustNotExist && !w.mustExist && len(w.versions) == 0 {
		return nil
	}
	return &messages.Conditions{MustNotExist: w.mustNotExist, MustExist: w.mustExist, Versions: w.versions}
}

// readConditions are the preconditions of a GET or HEAD.
type readConditions struct {
	match, noneMatch     tagList
	modified, unmodified time.Time // zero: not sent
	ifRange              tagList
	ifRangeDate          time.Time
}

// parseReadConditions reads the conditional headers of a GET or HEAD; a
// malformed one is refused.
func parseReadConditions(h *headers) (c readConditions, err error) {
	if h.ifMatch == nil && h.ifNoneMatch == nil && h.ifModifiedSince == nil && h.ifUnmodifiedSince == nil && h.ifRange == nil {
		return c, nil
	}
	if c.match, err = parseTagList("If-Match", h.ifMatch); err != nil {
		return c, err
	}
	if c.noneMatch, err = parseTagList("If-None-Match", h.ifNoneMatch); err != nil {
		return c, err
	}
	if c.modified, err = parseDate("If-Modified-Since", h.ifModifiedSince); err != nil {
		return c, err
	}
	if c.unmodified, err = parseDate("If-Unmodified-Since", h.ifUnmodifiedSince); err != nil {
		return c, err
	}
	if len(h.ifRange) > 0 && (h.ifRange[0] == '"' || h.ifRange[0] == 'W') {
		if tag, rest, ok := cutTag(h.ifRange); ok && len(rest) == 0 {
			c.ifRange = tagList{given: true, tags: []entityTag{tag}}
			return c, nil
		}
	}
	c.ifRangeDate, err = parseDate("If-Range", h.ifRange)
	return c, err
}

// verdict is what conditions make of a read.
type verdict int

const (
	proceed verdict = iota
	notModified
	failed
)

// judge evaluates the conditions against a row in the order of RFC 9110, 13.2.2.
// Dates are compared in whole seconds, as Last-Modified is sent.
func (c *readConditions) judge(row *messages.FileRow) verdict {
	modified := lastModified(row)
	switch {
	case c.match.given && !c.match.matches(row, false):
		return failed
	case !c.match.given && !c.unmodified.IsZero() && modified.After(c.unmodified):
		return failed
	case c.noneMatch.given && c.noneMatch.matches(row, true):
		return notModified
	case !c.noneMatch.given && !c.modified.IsZero() && !modified.After(c.modified):
		return notModified
	}
	return proceed
}

// rangeHolds reports whether a Range may be honoured: If-Range is absent or
// names exactly this version.
func (c *readConditions) rangeHolds(row *messages.FileRow) bool {
	switch {
	case c.ifRange.given:
		return c.ifRange.matches(row, false)
	case !c.ifRangeDate.IsZero():
		return lastModified(row).Equal(c.ifRangeDate)
	}
	return true
}

// lastModified is the time of a file's last write, in whole seconds.
func lastModified(row *messages.FileRow) time.Time {
	return time.Unix(row.ModifiedUnixMs/1000, 0).UTC()
}

func parseDate(header string, value []byte) (time.Time, error) {
	if value == nil {
		return time.Time{}, nil
	}
	t, err := http.ParseTime(string(value))
	if err != nil {
		return t, model.Errorf(model.CodeInvalidArgument, "read conditions",
			"%s must be a date like %q", header, http.TimeFormat)
	}
	return t, nil
}
