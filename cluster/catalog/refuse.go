package catalog

import (
	"slices"
	"strings"

	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// reason names one refusal. Reasons and facts are kept in session rows and so
// are part of the state; the sentences below are not, and may be reworded.
type reason string

const detailReason = "reason"

// refusal is the code of a reason and its sentence, with {facts} from the details.
type refusal struct {
	code model.Code
	text string
}

// refusals is every way in which apply says no.
var refusals = map[reason]refusal{
	"not_bootstrapped":            {model.CodeUnavailable, "the cluster has not been bootstrapped; start one node without --join"},
	"already_bootstrapped":        {model.CodeConflict, "the cluster is already bootstrapped as {cluster_id}"},
	"bad_bootstrap":               {model.CodeInvalidArgument, "the bootstrap command is not valid: {field}"},
	"bad_field":                   {model.CodeInvalidArgument, "the field {field} is missing, too long or not valid"},
	"bad_path":                    {model.CodeInvalidArgument, "the path is not a canonical absolute path"},
	"bad_tenant":                  {model.CodeInvalidArgument, "the tenant is not valid: a-z, 0-9, _ and -, up to 63"},
	"bad_extent":                  {model.CodeInvalidArgument, "extent {extent} is not possible in a volume"},
	"size_mismatch":               {model.CodeInvalidArgument, "the file has {size_bytes} bytes, but its extents hold {held_bytes}"},
	"same_path":                   {model.CodeInvalidArgument, "the file is already at this path; name another one"},
	"too_large":                   {model.CodeTooLarge, "{field} is beyond its limit of {limit}"},
	"no_file":                     {model.CodeNotFound, "there is no file at this path"},
	"no_volume":                   {model.CodeNotFound, "there is no volume {volume}"},
	"no_upload":                   {model.CodeNotFound, "this session has no upload {upload} for this tenant; begin again"},
	"precondition":                {model.CodePreconditionFailed, "the file is at version {current_version} (0: there is none), which the condition excludes"},
	"target_exists":               {model.CodeConflict, "there is a file at the target, version {current_version}; ask for overwrite to replace it"},
	"key_reused":                  {model.CodeConflict, "the idempotency key was used for another path, size or checksum; take a new key"},
	"upload_position":             {model.CodeConflict, "the upload has {extents} extents; what was sent does not continue or repeat them"},
	"upload_incomplete":           {model.CodeConflict, "the upload holds {extents} extents with {held_bytes} bytes, not what the commit names"},
	"upload_lost":                 {model.CodeUnavailable, "a part of the upload was lost with volume {volume}; send the file again"},
	"quota":                       {model.CodeQuotaExceeded, "tenant {tenant} uses {used_bytes} of {limit_bytes} bytes and asked for {asked_bytes} more"},
	"quotas_full":                 {model.CodeConflict, "{tenants} tenants have a limit, which is as many as may have one; take one away first"},
	"volume_unknown":              {model.CodeVolumeSealed, "volume {volume} is not in the catalog; write elsewhere"},
	"volume_generation":           {model.CodeVolumeSealed, "volume {volume} is at generation {generation}; write elsewhere"},
	"volume_closed":               {model.CodeVolumeSealed, "volume {volume} takes no more records; write elsewhere"},
	"volume_tier":                 {model.CodeInvalidArgument, "volume {volume} is of tier {tier}, and not the tier of the file"},
	"stale_generation":            {model.CodeConflict, "volume {volume} is at generation {generation}"},
	"volume_state":                {model.CodeConflict, "volume {volume} is {state} and cannot do this"},
	"many_members":                {model.CodeConflict, "volume {volume} has {members} members; it is sealed, not reopened"},
	"no_worker":                   {model.CodeNotFound, "there is no worker {node}"},
	"worker_left":                 {model.CodeConflict, "the worker {node} has left for good; start it with an empty data directory, as a new worker"},
	"worker_state":                {model.CodeConflict, "the worker {node} is {state}"},
	"sole_holder":                 {model.CodeConflict, "the worker {node} holds the only verified copy of {volumes} volumes ({live_bytes} bytes in use); drain it first, or force it and lose them"},
	"followers_behind":            {model.CodeConflict, "the worker {node} is the primary of {volumes} open volumes whose other copies may be behind; drain it first, or stop it and wait until it is unreachable and they are sealed, or force it and lose what only it has"},
	"raft_id_taken":               {model.CodeConflict, "the worker {node} has this Raft id; a data directory was copied, start with an empty one"},
	"raft_id_changed":             {model.CodeConflict, "this start of the worker {node} is known with another Raft id; its node.yaml was mixed with another one"},
	"version_too_old":             {model.CodeConflict, "the node's program knows cluster versions up to {has}, this cluster is at {needs}; upgrade the program"},
	"unlicensed":                  {model.CodeLicenseDenied, "(cluster/license has the sentence)"},
	"license_expired":             {model.CodeInvalidArgument, "the licence {license} has expired, by the highest time that this cluster has seen; a clock that was moved back does not change that"},
	"no_member":                   {model.CodeConflict, "{node} is no member of volume {volume} with this replica generation"},
	"copy_too_new":                {model.CodeConflict, "the copy of volume {volume} on {node} has replica generation {replica_gen}, which is not from before the recovery"},
	"members_changed":             {model.CodeConflict, "the members of volume {volume} have changed meanwhile; look again"},
	"member_already":              {model.CodeConflict, "{node} is a member of volume {volume} already"},
	"last_copies":                 {model.CodeConflict, "volume {volume} would have {verified} verified copies on workers that are here, which is not enough"},
	"no_job":                      {model.CodeNotFound, "there is no job {job}"},
	"job_ended":                   {model.CodeConflict, "the job {job} has ended"},
	"jobs_full":                   {model.CodeOverloaded, "{jobs} jobs have not ended; wait, or cancel some"},
	"settings_version":            {model.CodePreconditionFailed, "the settings are at version {version}; read them again and repeat the change"},
	"pattern_taken":               {model.CodeConflict, "{pattern} belongs to tier {tier}; take it away there first"},
	"volume_named":                {model.CodeConflict, "volume {volume} still holds {live_bytes} bytes that are in use"},
	"not_retiring":                {model.CodeConflict, "volume {volume} is not being retired; its content stays where it is"},
	"file_changed":                {model.CodeConflict, "the file is at version {current_version} (0: there is none) by now"},
	"upload_gone":                 {model.CodeConflict, "there is no upload {upload} any more"},
	"extent_changed":              {model.CodeConflict, "position {position} does not hold that extent any more"},
	"digest_mismatch":             {model.CodeConflict, "the copy of volume {volume} on {node} is not what was sealed"},
	"stale_generation_of_cluster": {model.CodeStaleEpoch, "the cluster is at generation {generation}"},
	"stale_term":                  {model.CodeStaleEpoch, "the log has seen term {term} of {master}"},
	"stale_incarnation":           {model.CodeStaleEpoch, "the node has been seen with incarnation {incarnation}"},
	"future_hash":                 {model.CodeInvalidArgument, "the hash is of an index that is not applied yet"},
	"no_session":                  {model.CodeOutcomeUnknown, "the session has ended; whether the request was done is not known"},
	"below_low_water":             {model.CodeOutcomeUnknown, "the result of this sequence was forgotten; whether it was done is not known"},
	"session_needed":              {model.CodeInvalidArgument, "uploads belong to a session; open one first"},
	"session_full":                {model.CodeOverloaded, "the session keeps {results} unanswered results; raise low water and try again"},
	"uploads_full":                {model.CodeOverloaded, "the session has {uploads} uploads under way; finish or abort some"},
}

// refuse makes the result for a reason; facts are pairs of name and value.
func refuse(why reason, facts ...string) *messages.CommandResult {
	details := make(map[string]string, 1+len(facts)/2)
	details[detailReason] = string(why)
	for i := 0; i+1 < len(facts); i += 2 {
		details[facts[i]] = facts[i+1]
	}
	return explain(&messages.CommandResult{Code: string(refusals[why].code), Details: details})
}

// explain fills in the sentence of a refusal, which rows do not hold.
func explain(res *messages.CommandResult) *messages.CommandResult {
	if res.Code == "" {
		return res
	}
	if res.Details[detailReason] == "unlicensed" {
		res.Message = license.Sentence(res.Details)
		return res
	}
	text := refusals[reason(res.Details[detailReason])].text
	names := make([]string, 0, len(res.Details))
	for name := range res.Details {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		text = strings.ReplaceAll(text, "{"+name+"}", res.Details[name])
	}
	res.Message = text
	return res
}
