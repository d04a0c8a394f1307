package master

import (
	"fmt"

	"tiercel/cluster/license"
	"tiercel/cluster/placement"
	"tiercel/messages"
)

// candidate is a worker as placement judges it: its row, and what it last said of its
// disk, less what was granted since. space may be nil. Where placement by the type of
// disk, or over datacenters, is not licensed, all of them are alike in that.
func candidate(node string, row *messages.WorkerRow, s *space, cluster *messages.ClusterRow) placement.Worker {
	grant := license.Of(cluster.GetLicense())
	w := placement.Worker{
		Node: node, State: row.State, DiskType: row.DiskType, DC: row.Dc, Rack: row.Rack, Host: row.Host, IOLoad: -1, Draining: row.Draining,
	}
	if !grant.Has(license.DiskPlacement) {
		w.DiskType = ""
	}
	if !grant.Has(license.CrossDC) {
		w.DC = ""
	}
	if s == nil {
		return w
	}
	r := s.report
	w.Known, w.Free, w.Total, w.Failing = true, r.FreeBytes, r.TotalBytes, r.Failing
	if r.AcceptsWrites {
		w.Writable = r.WritableBytes - min(r.WritableBytes, s.granted)
	}
	w.ReadOnlyShare = cluster.GetSettings().GetReadOnlyUsedShare()
	w.Low = r.WritableBytes < roomForVolume(r.TotalBytes)
	if r.IoLoadKnown {
		w.IOLoad = r.IoLoad
	}
	if share := cluster.GetSettings().GetFullUsedShare(); share > 0 && r.TotalBytes > 0 {
		if used := 1 - float64(r.FreeBytes)/float64(r.TotalBytes); used >= share {
			w.Watermark = fmt.Sprintf("%.0f %% of its disk are used; from %.0f %% on it gets no new volumes", 100*used, 100*share)
		}
	}
	return w
}

// roomForVolume is what must be writable for a volume to be opened: of a small disk a
// small part.
func roomForVolume(total uint64) uint64 { return min(64<<20, total/32) }

// weightsOf are the weights of placement as the settings have them.
func weightsOf(s *messages.Settings) placement.Weights {
	w := placement.Weights{Free: s.GetWeightFree(), Disk: s.GetWeightDisk(), Load: s.GetWeightLoad(), Latency: s.GetWeightLatency()}
	if s == nil || w.Check() != nil {
		return placement.DefaultWeights()
	}
	return w
}
