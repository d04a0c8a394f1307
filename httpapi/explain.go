package httpapi

import (
	"context"
	"strconv"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// explainAnswer says where content would go now, and where a file is and why.
type explainAnswer struct {
	Path        string         `json:"path"` // empty: only a tier was asked about
	Tier        model.Tier     `json:"tier"`
	TierReason  string         `json:"tier_reason"`
	SizeBytes   uint64         `json:"size_bytes"`
	Copies      uint32         `json:"copies"`
	MinCopies   uint32         `json:"min_copies"`
	Weights     weightsAnswer  `json:"weights"`
	Workers     []judgedAnswer `json:"workers"`
	Choice      []string       `json:"choice"` // of a new volume, the primary first
	OpenVolumes []placedVolume `json:"open_volumes"`
	Current     *currentAnswer `json:"current"` // null: there is no such file
}

// weightsAnswer are shares of one whole, of which a score is made.
type weightsAnswer struct {
	FreeCapacity float64 `json:"free_capacity"`
	DiskType     float64 `json:"disk_type"`
	IOLoad       float64 `json:"io_load"`
	Latency      float64 `json:"latency"`
}

// judgedAnswer is one worker; terms are 0..1 before they are weighted, 1 is best.
type judgedAnswer struct {
	WorkerID string        `json:"worker_id"`
	Terms    weightsAnswer `json:"terms"`
	Score    float64       `json:"score"`
	Refusal  *string       `json:"refusal"` // name of the filter that keeps it out
	Detail   string        `json:"detail"`
	Open     uint32        `json:"open_volumes"` // it is a member of, which lower its score
	Chosen   bool          `json:"chosen"`
	Place    *uint32       `json:"place"` // in the choice, from 1
}

// placedVolume is a volume with the decision that put it where it is.
type placedVolume struct {
	VolumeID uint64         `json:"volume_id"`
	State    string         `json:"state"`
	Tier     uint32         `json:"tier"`
	EndBytes *uint64        `json:"end_bytes"` // of all tenants' content in it; null for the token of one
	Members  []memberAnswer `json:"members"`
	Decision string         `json:"decision"`
}

type memberAnswer struct {
	WorkerID string  `json:"worker_id"`
	Primary  bool    `json:"primary"`
	Verified bool    `json:"verified"`
	JobID    *string `json:"job_id"` // that brings the copy here; null: the move is done, or there was none
	Cause    string  `json:"cause"`  // why the copy came later; empty: the decision of the volume chose it
}

// currentAnswer is where a file is, and why.
type currentAnswer struct {
	Version    uint64         `json:"version"`
	SizeBytes  uint64         `json:"size_bytes"`
	Tier       uint32         `json:"tier"`
	TierReason string         `json:"tier_reason"`
	VolumeIDs  []uint64       `json:"volume_ids"`
	Members    []string       `json:"members"`
	Volumes    []placedVolume `json:"volumes"`
}

// explainRequest is the query of an explanation.
type explainRequest struct {
	tenant, path, from string
	size               uint64
	tier               model.Tier // unset: by the path
}

func (c *call) readExplain() (r explainRequest, err error) {
	query, err := strictQuery(c.query, "path", "size", "tier", "from")
	if err != nil {
		return r, err
	}
	if r.tenant, err = readTenant(c.h.tenant); err != nil {
		return r, err
	}
	r.path, r.from = query["path"], query["from"]
	switch tier := query["tier"]; {
	case tier == "1" || tier == "2" || tier == "3":
		r.tier = model.Tier(tier[0] - '0')
	case tier != "":
		return r, badQuery("the tier must be 1 (critical), 2 (important) or 3 (rebuildable), not %q", clip(tier))
	case r.path == "":
		return r, badQuery("give a path, a tier, or both")
	}
	if r.path != "" {
		if err := model.CheckPath(r.path); err != nil {
			return r, badQuery("the query parameter \"path\": %s", messageOf(err))
		}
	}
	if size := query["size"]; size != "" {
		if r.size, err = strconv.ParseUint(size, 10, 64); err != nil || r.size > model.MaxContentBytes {
			return r, badQuery("the size must be a number of bytes up to %d, not %q", int64(model.MaxContentBytes), clip(size))
		}
	}
	if len(r.from) > 128 {
		return r, badQuery("the worker %q does not exist; /cluster/workers lists them", clip(r.from))
	}
	return r, nil
}

// explainPlacement answers GET /cluster/placement/explain?path=&size=&tier=&from=.
func (c *call) explainPlacement() error {
	req, err := c.readExplain()
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	status, err := c.s.gw.Cluster(ctx)
	if err != nil {
		return err
	}
	tier, reason := req.tier, "asked for"
	if tier == model.TierUnset {
		tier, reason = c.s.gw.TierOf(status.GetCluster().GetTiers(), req.path)
	}
	reply, err := c.s.gw.ExplainPlacement(ctx, tier, req.size, req.from)
	if err != nil {
		return err
	}
	out := newExplainAnswer(reply)
	out.Path, out.Tier, out.TierReason, out.SizeBytes = req.path, tier, reason, req.size
	if out.Copies == 0 {
		out.Copies = copiesOf(status.GetCluster(), tier)
	}
	out.MinCopies = min(minCopiesOf(status, tier), out.Copies) // by the licence there may be no more
	if req.path != "" {
		if out.Current, err = c.whereIs(ctx, req, status.GetCluster()); err != nil {
			return err
		}
	}
	if c.who != nil && !c.who.Cluster() {
		out.forTenant()
	}
	return c.answerValue(out)
}

// forTenant leaves what a token of one tenant is told: the tier and why, which workers
// would be chosen, where its own file is and why. How full and how busy the workers and
// the volumes are is the sum over all tenants, and another one's work could be read off it.
func (a *explainAnswer) forTenant() {
	a.Workers, a.OpenVolumes = []judgedAnswer{}, []placedVolume{}
	if a.Current != nil {
		for i := range a.Current.Volumes {
			a.Current.Volumes[i].EndBytes = nil
		}
	}
}

func newExplainAnswer(r *messages.ExplainPlacementReply) *explainAnswer {
	a := &explainAnswer{
		Copies: r.Copies, Weights: weightsAnswer{r.WeightFree, r.WeightDisk, r.WeightLoad, r.WeightLatency},
		Workers: []judgedAnswer{}, Choice: append([]string{}, r.Chosen...), OpenVolumes: []placedVolume{},
	}
	for _, w := range r.Workers {
		j := judgedAnswer{
			WorkerID: w.Node, Terms: weightsAnswer{w.Free, w.Disk, w.Load, w.Latency}, Score: w.Score, Detail: w.Detail,
			Open: w.Open, Chosen: w.Chosen > 0,
		}
		if w.Refusal != "" {
			j.Refusal = &w.Refusal
		}
		if w.Chosen > 0 {
			j.Place = &w.Chosen
		}
		a.Workers = append(a.Workers, j)
	}
	for _, v := range r.Volumes {
		a.OpenVolumes = append(a.OpenVolumes, newPlacedVolume(v))
	}
	return a
}

func newPlacedVolume(v *messages.VolumeRow) placedVolume {
	end := max(v.CommittedEnd, v.SealedEnd)
	p := placedVolume{
		VolumeID: v.Id, State: volumeStates[v.State], Tier: v.Tier, EndBytes: &end,
		Members: []memberAnswer{}, Decision: v.Decision,
	}
	for i, m := range v.Members {
		a := memberAnswer{WorkerID: m.Node, Primary: i == 0, Verified: m.Verified, Cause: m.Cause}
		if m.Job != 0 {
			id := strconv.FormatUint(m.Job, 10)
			a.JobID = &id
		}
		p.Members = append(p.Members, a)
	}
	return p
}

// whereIs says where a file is and why; nil when there is none.
func (c *call) whereIs(ctx context.Context, req explainRequest, cluster *messages.ClusterRow) (*currentAnswer, error) {
	stat, err := c.s.gw.Stat(ctx, req.tenant, req.path, true)
	if model.CodeOf(err) == model.CodeNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	row := stat.Row
	a := &currentAnswer{
		Version: row.Version, SizeBytes: row.SizeBytes, Tier: row.Tier, VolumeIDs: []uint64{}, Members: []string{}, Volumes: []placedVolume{},
	}
	switch byTable, reason := c.s.gw.TierOf(cluster.GetTiers(), req.path); {
	case row.TierAsked != 0:
		a.TierReason = "it was asked for, when the file was stored or moved to the tier"
	case uint32(byTable) == row.Tier:
		a.TierReason = reason
	default:
		a.TierReason = "it was given to the path where it was stored, or by an earlier table; a move and a change of the table leave it"
	}
	for _, v := range stat.Volumes {
		a.VolumeIDs = append(a.VolumeIDs, v.Id)
		a.Volumes = append(a.Volumes, newPlacedVolume(v))
		for _, m := range v.Members {
			if !contains(a.Members, m.Node) {
				a.Members = append(a.Members, m.Node)
			}
		}
	}
	return a, nil
}
