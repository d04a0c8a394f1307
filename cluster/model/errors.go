package model

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Code is one of the error codes of API.md. The set is closed; httpapi maps
// each to a status in one table.
type Code string

// The codes, in the order of API.md "Errors". CodeVolumeSealed never leaves
// the cluster: a gateway that meets it writes again into another volume.
const (
	CodeInvalidArgument      Code = "invalid_argument"
	CodeUnauthenticated      Code = "unauthenticated"
	CodePermissionDenied     Code = "permission_denied"
	CodeLicenseDenied        Code = "license_denied"
	CodeNotFound             Code = "not_found"
	CodeMethodNotAllowed     Code = "method_not_allowed"
	CodeConflict             Code = "conflict"
	CodePreconditionFailed   Code = "precondition_failed"
	CodeTooLarge             Code = "too_large"
	CodeRangeNotSatisfiable  Code = "range_not_satisfiable"
	CodeOverloaded           Code = "overloaded"
	CodeInternal             Code = "internal"
	CodeCorrupt              Code = "corrupt"
	CodeNoMaster             Code = "no_master"
	CodeStaleEpoch           Code = "stale_epoch"
	CodeInsufficientReplicas Code = "insufficient_replicas"
	CodeUnavailable          Code = "unavailable"
	CodeOutcomeUnknown       Code = "outcome_unknown"
	CodeDeadlineExceeded     Code = "deadline_exceeded"
	CodeQuotaExceeded        Code = "quota_exceeded"
	CodeClusterFull          Code = "cluster_full"

	CodeVolumeSealed Code = "volume_sealed"
)

// Codes lists every code a client can meet, for tests that walk the table.
var Codes = [...]Code{
	CodeInvalidArgument, CodeUnauthenticated, CodePermissionDenied, CodeLicenseDenied, CodeNotFound,
	CodeMethodNotAllowed, CodeConflict, CodePreconditionFailed, CodeTooLarge, CodeRangeNotSatisfiable,
	CodeOverloaded, CodeInternal, CodeCorrupt, CodeNoMaster, CodeStaleEpoch, CodeInsufficientReplicas,
	CodeUnavailable, CodeOutcomeUnknown, CodeDeadlineExceeded, CodeQuotaExceeded, CodeClusterFull,
}

// Error is the one error type: what failed (Op), how (Code), and what to do
// (Message, a sentence for a person). Details are small facts for programs.
type Error struct {
	Code       Code
	Op         string
	Message    string
	Details    map[string]string
	RetryAfter time.Duration // zero: the default of the code, if it has one
	Err        error         // cause, never shown to a client
}

// Error renders op, message, code and cause on one line for logs.
func (e *Error) Error() string {
	s := e.Message + " (" + string(e.Code) + ")"
	if e.Op != "" {
		s = e.Op + ": " + s
	}
	if e.Err != nil && !strings.HasSuffix(e.Message, e.Err.Error()) { // Errorf has put it there already
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// DetailReason of an unavailable read is ReasonBehind when this copy does not have the
// bytes, and another one may.
const (
	DetailReason = "reason"
	ReasonBehind = "behind"
)

// With adds a detail and returns e.
func (e *Error) With(key, value string) *Error {
	if e.Details == nil {
		e.Details = make(map[string]string, 4)
	}
	e.Details[key] = value
	return e
}

// Errorf makes an error with a message for a person. A %w operand becomes the cause.
func Errorf(code Code, op, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Code: code, Op: op, Message: err.Error(), Err: errors.Unwrap(err)}
}

// CodeOf returns the code of the first Error in err's chain: empty for nil,
// CodeInternal for an error that carries no code.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return CodeInternal
}
