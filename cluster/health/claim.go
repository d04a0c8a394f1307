package health

// Claim is a process that says it is a node: where it is heard, how often its data
// directory was started, and its own random number, 0: unknown.
type Claim struct {
	Address           string
	Incarnation, Boot uint64
}

// StartedTimes is a detail of the refusal of a claim: how often the node that is known was
// started. A directory that was started less often is a copy or an old backup, for good.
const StartedTimes = "started_times"

// Verdict is what a claim deserves.
type Verdict uint8

// The verdicts.
const (
	Welcome Verdict = iota
	Refuse          // an older start, or a second process of the same one
	Ask             // whether the process that is known is still there: a directory may have been copied
)

// JudgeClaim compares a claim with the process that is known under the same node id.
// A start that is newer and elsewhere is either a node that has moved or a copy of its
// directory that was started more often; only the address that is known can tell.
func JudgeClaim(known, claim Claim) Verdict {
	sameBoot := known.Boot != 0 && known.Boot == claim.Boot
	switch {
	case claim.Incarnation < known.Incarnation, claim.Incarnation == known.Incarnation && known.Boot != 0 && !sameBoot:
		return Refuse
	case known.Address != "" && known.Address != claim.Address && !sameBoot:
		return Ask
	}
	return Welcome
}
