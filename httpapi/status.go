package httpapi

import (
	"time"

	"github.com/valyala/fasthttp"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// The answer of /cluster/status. A field that is not known is null and named
// in unknown: nothing is made up while parts are down.
type statusAnswer struct {
	ClusterID   string          `json:"cluster_id,omitempty"`
	Epoch       string          `json:"epoch,omitempty"`
	State       string          `json:"state"`
	Master      *statusMaster   `json:"master"`
	Workers     *statusWorkers  `json:"workers"`
	Capacity    *statusCapacity `json:"capacity"`
	Files       *statusFiles    `json:"files"`
	Replication *statusDebt     `json:"replication"`
	StormBrake  *statusBrake    `json:"storm_brake"`
	Archive     *statusArchive  `json:"archive,omitempty"`
	License     *licenseAnswer  `json:"license"`
	Unchecked   bool            `json:"unchecked,omitempty"` // answered without a quorum's word
	Warnings    []string        `json:"warnings"`
	Unknown     []string        `json:"unknown"`
}

type statusMaster struct {
	WorkerID string  `json:"worker_id"`
	Address  string  `json:"address"`
	Since    *string `json:"since"`
}

type statusWorkers struct {
	Total          int  `json:"total"`
	Healthy        *int `json:"healthy"`
	Degraded       *int `json:"degraded"`
	Unreachable    *int `json:"unreachable"`
	Decommissioned *int `json:"decommissioned"`
	Draining       int  `json:"draining"` // of whichever state
}

type statusCapacity struct {
	TotalBytes uint64                       `json:"total_bytes"`
	UsedBytes  uint64                       `json:"used_bytes"`
	FreeBytes  uint64                       `json:"free_bytes"`
	ByDiskType map[string]*capacityByDevice `json:"by_disk_type"`
}

type capacityByDevice struct {
	TotalBytes uint64 `json:"total_bytes"`
	UsedBytes  uint64 `json:"used_bytes"`
	FreeBytes  uint64 `json:"free_bytes"`
}

type statusBrake struct {
	Engaged        bool    `json:"engaged"`
	Reason         *string `json:"reason"`
	WouldMoveBytes uint64  `json:"would_move_bytes"`
}

type statusFiles struct {
	Count        int64 `json:"count"`
	LogicalBytes int64 `json:"logical_bytes"`
	RawBytes     int64 `json:"raw_bytes"`
}

// clusterStatus answers GET /cluster/status. While the cluster has no master, or
// does not answer, that is what it says.
func (c *call) clusterStatus() error {
	if _, err := strictQuery(c.query); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.Status(ctx)
	if err == nil {
		err = reply.GetError().Err("status")
	}
	var a *statusAnswer
	if err != nil {
		e := clientError(err)
		switch e.Code {
		case model.CodeNoMaster, model.CodeStaleEpoch, model.CodeUnavailable, model.CodeDeadlineExceeded:
			a = &statusAnswer{State: "no_master", Warnings: []string{e.Message}}
		default:
			return err
		}
	} else {
		a = newStatusAnswer(reply)
		a.learnDebt(c, reply)
		a.learnArchive(c, reply)
	}
	if more := c.s.cfg.Warnings; more != nil {
		a.Warnings = append(a.Warnings, more()...)
	}
	a.nameUnknown()
	return c.answerValue(a)
}

func newStatusAnswer(r *messages.ClusterStatusReply) *statusAnswer {
	cluster := r.GetCluster()
	a := &statusAnswer{ClusterID: cluster.GetClusterId(), State: r.State, Warnings: append([]string{}, r.Warnings...)}
	if cluster != nil {
		a.Epoch = model.Epoch{Generation: cluster.Generation, Term: max(cluster.Term, r.RaftTerm)}.String()
	}
	if a.State == "" {
		a.State = "no_master"
		if r.Ready {
			a.State = "healthy"
		}
	}
	a.Master = masterOf(r)
	if len(r.Workers) > 0 {
		a.Workers = workersOf(r)
	}
	if len(r.Capacity) > 0 {
		a.Capacity = capacityOf(r.Capacity)
	}
	a.Files = filesOf(r)
	a.License = newLicenseAnswer(r.License)
	a.Unchecked = r.Unchecked
	if cluster != nil {
		a.Replication = debtOfRows(r)
		a.StormBrake = &statusBrake{Engaged: cluster.Brake.GetEngaged(), WouldMoveBytes: cluster.Brake.GetWouldMoveBytes()}
		if reason := cluster.Brake.GetReason(); reason != "" && cluster.Brake.Engaged {
			a.StormBrake.Reason = &reason
		}
	}
	a.judge()
	a.withoutMaster()
	return a
}

func masterOf(r *messages.ClusterStatusReply) *statusMaster {
	id := r.GetCluster().GetMaster()
	if id == "" {
		return nil
	}
	m := &statusMaster{WorkerID: id}
	if ms := r.Cluster.MasterSinceUnixMs; ms != 0 {
		since := time.UnixMilli(ms).UTC().Format(time.RFC3339)
		m.Since = &since
	}
	for i, node := range r.WorkerNodes {
		if node == id && i < len(r.Workers) {
			m.Address = r.Workers[i].Address
		}
	}
	return m
}

// workersOf counts workers by their logged states; those that left do not count.
func workersOf(r *messages.ClusterStatusReply) *statusWorkers {
	var healthy, degraded, unreachable, decommissioned int
	w := &statusWorkers{Healthy: &healthy, Degraded: &degraded, Unreachable: &unreachable, Decommissioned: &decommissioned}
	for _, row := range r.Workers {
		switch row.State {
		case messages.WorkerState_LEFT:
			continue
		case messages.WorkerState_DEGRADED:
			degraded++
		case messages.WorkerState_UNREACHABLE:
			unreachable++
		case messages.WorkerState_DECOMMISSIONED:
			decommissioned++
		default:
			healthy++
		}
		w.Total++
		if row.Draining {
			w.Draining++
		}
	}
	return w
}

// judge makes the state say that workers are missing.
func (a *statusAnswer) judge() {
	if a.State == "healthy" && a.Workers != nil && *a.Workers.Healthy < a.Workers.Total {
		a.State = "degraded"
	}
}

func capacityOf(reports []*messages.CapacityReport) *statusCapacity {
	c := &statusCapacity{ByDiskType: make(map[string]*capacityByDevice)}
	for _, r := range reports {
		c.TotalBytes += r.TotalBytes
		c.UsedBytes += r.UsedBytes
		c.FreeBytes += r.FreeBytes
		d := c.ByDiskType[r.DiskType]
		if d == nil {
			d = new(capacityByDevice)
			c.ByDiskType[r.DiskType] = d
		}
		d.TotalBytes += r.TotalBytes
		d.UsedBytes += r.UsedBytes
		d.FreeBytes += r.FreeBytes
	}
	return c
}

// filesOf sums the tenants; raw bytes are what the members' volume files hold.
func filesOf(r *messages.ClusterStatusReply) *statusFiles {
	if len(r.Totals) == 0 {
		return nil
	}
	f := new(statusFiles)
	for _, t := range r.Totals {
		f.Count += t.Files
		f.LogicalBytes += t.UsedBytes
	}
	for _, v := range r.Volumes {
		f.RawBytes += int64(v.CommittedEnd) * int64(len(v.Members))
	}
	return f
}

// nameUnknown lists the parts that are null.
func (a *statusAnswer) nameUnknown() {
	a.Unknown = []string{}
	for _, part := range []struct {
		name    string
		unknown bool
	}{
		{"master", a.Master == nil},
		{"workers", a.Workers == nil},
		{"workers.healthy", a.Workers != nil && a.Workers.Healthy == nil},
		{"capacity", a.Capacity == nil},
		{"files", a.Files == nil},
		{"replication", a.Replication == nil},
		{"replication.oldest_debt_seconds", a.Replication != nil && a.Replication.OldestDebtSeconds == nil},
		{"storm_brake", a.StormBrake == nil},
		{"license", a.License == nil},
	} {
		if part.unknown {
			a.Unknown = append(a.Unknown, part.name)
		}
	}
}

// health answers /healthz: the process is up.
func (c *call) health() error {
	c.scratch = append(c.scratch[:0], "{\"status\":\"ok\"}\n"...)
	c.answerJSON(fasthttp.StatusOK)
	return nil
}

// ready answers /readyz: requests can be served, or why they cannot.
func (c *call) ready() error {
	ok, reason := c.s.gw.Ready()
	if !ok {
		return model.Errorf(model.CodeUnavailable, "ready", "not ready: %s", reason)
	}
	c.scratch = append(c.scratch[:0], "{\"ready\":true}\n"...)
	c.answerJSON(fasthttp.StatusOK)
	return nil
}
