package httpapi

import (
	"context"
	"errors"
	"strconv"
	"time"

	"tiercel/cluster/model"
)

// answer is how an error code is told over HTTP.
type answer struct {
	status     int
	retryAfter time.Duration // default Retry-After; zero: none
}

// statuses is the one table from error code to status (API.md "Errors"). A test
// walks it against model.Codes.
var statuses = map[model.Code]answer{
	model.CodeInvalidArgument:      {status: 400},
	model.CodeUnauthenticated:      {status: 401},
	model.CodePermissionDenied:     {status: 403},
	model.CodeLicenseDenied:        {status: 403},
	model.CodeNotFound:             {status: 404},
	model.CodeMethodNotAllowed:     {status: 405},
	model.CodeConflict:             {status: 409},
	model.CodePreconditionFailed:   {status: 412},
	model.CodeTooLarge:             {status: 413},
	model.CodeRangeNotSatisfiable:  {status: 416},
	model.CodeOverloaded:           {status: 429, retryAfter: time.Second},
	model.CodeInternal:             {status: 500},
	model.CodeCorrupt:              {status: 500},
	model.CodeNoMaster:             {status: 503, retryAfter: time.Second},
	model.CodeStaleEpoch:           {status: 503, retryAfter: time.Second},
	model.CodeInsufficientReplicas: {status: 503, retryAfter: 5 * time.Second},
	model.CodeUnavailable:          {status: 503, retryAfter: time.Second},
	model.CodeOutcomeUnknown:       {status: 503, retryAfter: time.Second},
	model.CodeDeadlineExceeded:     {status: 504},
	model.CodeQuotaExceeded:        {status: 507},
	model.CodeClusterFull:          {status: 507},
}

// clientError is the error a client may see: one of the codes of the table, and
// for anything unexpected a message without its cause.
func clientError(err error) *model.Error {
	var e *model.Error
	switch {
	case errors.As(err, &e):
		if _, known := statuses[e.Code]; known {
			return e
		}
	case errors.Is(err, context.DeadlineExceeded):
		return &model.Error{Code: model.CodeDeadlineExceeded, Err: err,
			Message: "the request was not finished in its time; a write may still take effect, so read before trying again"}
	case errors.Is(err, context.Canceled):
		return &model.Error{Code: model.CodeUnavailable, Err: err,
			Message: "this node is shutting down; try another one, or again later"}
	}
	return &model.Error{Code: model.CodeInternal, Err: err,
		Message: "internal error; the log of this node says more under the request id"}
}

// appendError appends the JSON form of e: {"error":{code,message,request_id,details}}.
func appendError(dst []byte, e *model.Error, requestID []byte) []byte {
	return append(appendErrorMember(append(dst, '{'), e, requestID), "}\n"...)
}

// appendErrorMember appends the error as the member of an object.
func appendErrorMember(dst []byte, e *model.Error, requestID []byte) []byte {
	dst = append(dst, `"error":{"code":`...)
	dst = appendJSONString(dst, string(e.Code))
	dst = append(dst, `,"message":`...)
	dst = appendJSONString(dst, e.Message)
	dst = append(dst, `,"request_id":`...)
	dst = appendJSONString(dst, string(requestID))
	dst = append(dst, `,"details":`...)
	dst = appendJSONMap(dst, e.Details)
	return append(dst, '}')
}

// retryAfterSeconds is the value of Retry-After for e, empty for none: whole
// seconds, rounded up.
func retryAfterSeconds(e *model.Error) string {
	a := statuses[e.Code]
	if a.retryAfter == 0 {
		return ""
	}
	wait := a.retryAfter
	if e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	return strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10)
}
