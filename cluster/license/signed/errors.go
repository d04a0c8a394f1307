package signed

import (
	"errors"

	"tiercel/cluster/model"
)

// The reasons why a text is no licence for this program or cluster, in the details of
// the error under model.DetailReason.
const (
	ReasonTooLong      = "license_too_long"
	ReasonMalformed    = "license_malformed"
	ReasonTruncated    = "license_truncated"
	ReasonForeignKey   = "license_foreign_key"
	ReasonDevelopment  = "license_development" // a release program was given one
	ReasonForged       = "license_forged"
	ReasonUnknownLevel = "license_unknown_level"
	ReasonExpired      = "license_expired"
	ReasonNotYetValid  = "license_not_yet_valid"
	ReasonOtherCluster = "license_other_cluster"
)

func refuse(reason, format string, args ...any) error {
	return model.Errorf(model.CodeInvalidArgument, "verify licence", format, args...).With(model.DetailReason, reason)
}

// Reason is the reason of a refusal by this package; empty: it is none.
func Reason(err error) string {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Details[model.DetailReason]
	}
	return ""
}
