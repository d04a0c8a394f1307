package edge

import (
	"context"
	"sync/atomic"
	"time"

	"tiercel/cluster/license"
	"tiercel/cluster/model"
	"tiercel/messages"
)

// licensed is what the cluster's licence was when it was last seen. What it allows may be
// gone by now: apply judges that. What it denies is asked again before anybody is refused.
type licensed struct{ seen atomic.Pointer[seenLicense] }

type seenLicense struct{ row *messages.LicenseRow }

// licensePatience bounds the look at the licence before a write; without an answer the
// write goes on, and apply judges it.
const licensePatience = 2 * time.Second

// mayAsk refuses a tier that is asked for by name and not licensed, before its body is
// read.
func (c *Client) mayAsk(ctx context.Context, t model.Tier) error {
	if !t.Valid() || license.Of(nil).DenyTier(t) == nil {
		return nil
	}
	if known := c.licensed.seen.Load(); known != nil && license.Of(known.row).DenyTier(t) == nil {
		return nil
	}
	return c.mayAskNow(ctx, t)
}

// mayAskNow is mayAsk by what the log says now.
func (c *Client) mayAskNow(ctx context.Context, t model.Tier) error {
	if !t.Valid() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, licensePatience)
	defer cancel()
	now, err := c.Cluster(ctx)
	if err != nil || now.Unchecked || now.Cluster == nil {
		return nil
	}
	c.licensed.seen.Store(&seenLicense{now.Cluster.License})
	return license.Of(now.Cluster.License).DenyTier(t).Err("put")
}

// License returns what the cluster's licence allows.
func (c *Client) License(ctx context.Context) (*messages.LicenseInfo, error) {
	r, err := c.Cluster(ctx)
	if err != nil {
		return nil, err
	}
	if r.License == nil {
		return nil, model.Errorf(model.CodeUnavailable, "read the licence", "this node does not know its cluster yet; try again")
	}
	return r.License, nil
}

// InstallLicense installs a signed licence, or with ifNewer only one that was issued
// after the present one; kept says that it was not. The answer is what is in force then.
func (c *Client) InstallLicense(ctx context.Context, text string, ifNewer bool) (info *messages.LicenseInfo, kept bool, err error) {
	r, err := consult[*messages.InstallLicenseReply](ctx, c, "install licence", &messages.InstallLicense{Header: &messages.Header{}, Text: text, IfNewer: ifNewer})
	if err != nil {
		return nil, false, err
	}
	info, err = c.License(ctx)
	return info, r.Kept, err
}

// describeLicense is nil where the cluster's row is not known.
func describeLicense(r *messages.ClusterStatusReply) *messages.LicenseInfo {
	if r.GetCluster() == nil {
		return nil
	}
	return license.DescribeIn(r.Cluster.License, r.WorkerNodes, r.Workers, time.Now())
}

// withLicense adds to a status what the licence allows, and what people should know of it.
func withLicense(r *messages.ClusterStatusReply) *messages.ClusterStatusReply {
	if r.License = describeLicense(r); r.License != nil {
		r.Warnings = append(r.Warnings, r.License.Warnings...)
	}
	return r
}
