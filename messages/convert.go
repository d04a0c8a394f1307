package messages

import (
	"errors"
	"time"

	"google.golang.org/protobuf/proto"

	"tiercel/cluster/model"
)

var deterministic = proto.MarshalOptions{Deterministic: true}

// MarshalDeterministic renders m with its map entries sorted, so that equal
// messages are equal bytes: rows are hashed and logs are compared.
func MarshalDeterministic(m proto.Message) ([]byte, error) { return deterministic.Marshal(m) }

// FromError is the wire form of err: nil for nil, code internal for an error
// that carries none. Causes stay behind; they may name things of this node.
func FromError(err error) *Error {
	if err == nil {
		return nil
	}
	var e *model.Error
	if !errors.As(err, &e) {
		return &Error{Code: string(model.CodeInternal), Message: err.Error()}
	}
	return &Error{Code: string(e.Code), Message: e.Message, Details: e.Details, RetryAfterMs: e.RetryAfter.Milliseconds()}
}

// Err turns a wire error back into a *model.Error; nil for nil.
func (e *Error) Err(op string) error {
	if e == nil {
		return nil
	}
	return &model.Error{
		Code: model.Code(e.Code), Op: op, Message: e.Message, Details: e.Details,
		RetryAfter: time.Duration(e.RetryAfterMs) * time.Millisecond,
	}
}

// Err is the refusal in a command's result; nil when it was done.
func (r *CommandResult) Err(op string) error {
	if r == nil || r.Code == "" {
		return nil
	}
	return &model.Error{Code: model.Code(r.Code), Op: op, Message: r.Message, Details: r.Details}
}

// ReplyHeader names the request that is answered.
func ReplyHeader(h *Header) *Header { return &Header{Request: h.GetRequest()} }

// RefusedAnswer answers a lookup with an error, in the item's own form.
func RefusedAnswer(item *LookupItem, e *Error) *LookupAnswer {
	switch k := item.Kind.(type) {
	case *LookupItem_Stat:
		return &LookupAnswer{Kind: &LookupAnswer_Stat{Stat: &StatReply{Header: ReplyHeader(k.Stat.Header), Error: e}}}
	case *LookupItem_Manifest:
		return &LookupAnswer{Kind: &LookupAnswer_Manifest{Manifest: &ReadManifestReply{Header: ReplyHeader(k.Manifest.Header), Error: e}}}
	case *LookupItem_List:
		return &LookupAnswer{Kind: &LookupAnswer_List{List: &ListReply{Header: ReplyHeader(k.List.Header), Error: e}}}
	case *LookupItem_Status:
		return &LookupAnswer{Kind: &LookupAnswer_Status{Status: &ClusterStatusReply{Header: ReplyHeader(k.Status.Header), Error: e}}}
	case *LookupItem_FindExtents:
		return &LookupAnswer{Kind: &LookupAnswer_FindExtents{FindExtents: &FindExtentsReply{Header: ReplyHeader(k.FindExtents.Header), Error: e}}}
	case *LookupItem_DescribeVolumes:
		return &LookupAnswer{Kind: &LookupAnswer_DescribeVolumes{DescribeVolumes: &DescribeVolumesReply{Header: ReplyHeader(k.DescribeVolumes.Header), Error: e}}}
	case *LookupItem_QuotaStand:
		return &LookupAnswer{Kind: &LookupAnswer_QuotaStand{QuotaStand: &QuotaStandReply{Header: ReplyHeader(k.QuotaStand.Header), Error: e}}}
	case *LookupItem_ListTenants:
		return &LookupAnswer{Kind: &LookupAnswer_ListTenants{ListTenants: &ListTenantsReply{Header: ReplyHeader(k.ListTenants.Header), Error: e}}}
	case *LookupItem_SurveyUsage:
		return &LookupAnswer{Kind: &LookupAnswer_SurveyUsage{SurveyUsage: &SurveyUsageReply{Header: ReplyHeader(k.SurveyUsage.Header), Error: e}}}
	case *LookupItem_FindAffected:
		return &LookupAnswer{Kind: &LookupAnswer_FindAffected{FindAffected: &FindAffectedReply{Header: ReplyHeader(k.FindAffected.Header), Error: e}}}
	}
	return &LookupAnswer{}
}

// CopyCommand copies a command's own fields but the reservation it settles, which
// never reaches the log; the kind inside is shared.
func CopyCommand(c *Command) *Command {
	return &Command{
		Origin: c.Origin, Proposal: c.Proposal, Session: c.Session, Sequence: c.Sequence, LowWater: c.LowWater,
		ProposedUnixMs: c.ProposedUnixMs, IdempotencyKey: c.IdempotencyKey, Kind: c.Kind,
	}
}

// StateName is a state as the API writes it.
func StateName(s WorkerState) string {
	switch s {
	case WorkerState_HEALTHY:
		return "healthy"
	case WorkerState_DEGRADED:
		return "degraded"
	case WorkerState_UNREACHABLE:
		return "unreachable"
	case WorkerState_DECOMMISSIONED:
		return "decommissioned"
	case WorkerState_LEFT:
		return "left"
	}
	return "unknown"
}
