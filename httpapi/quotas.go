package httpapi

import (
	"context"
	"encoding/json"
	"strconv"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// quotaKeeper is what is asked about the limits of tenants.
type quotaKeeper interface {
	// Quotas returns a page of tenants behind a name, or with tenant only that one.
	Quotas(ctx context.Context, tenant, after string, limit uint32) (*messages.ListQuotasReply, error)
	// ChangeQuota sets the limit of a tenant, or with nil takes it away, and returns
	// how the tenant stands then.
	ChangeQuota(ctx context.Context, tenant string, limitBytes *int64) (*messages.ChangeQuotaReply, error)
	// VerifyQuotas adds up every file and returns where usage is counted wrongly.
	VerifyQuotas(ctx context.Context) (*messages.VerifyQuotasReply, error)
}

// quotaAnswer is one tenant as /quotas shows it.
type quotaAnswer struct {
	Tenant         string  `json:"tenant"`
	LimitBytes     *int64  `json:"limit_bytes"` // null: none
	UsedBytes      int64   `json:"used_bytes"`
	ReservedBytes  int64   `json:"reserved_bytes"` // for writes under way
	OverQuota      bool    `json:"over_quota"`
	Files          int64   `json:"files"`
	ForecastFullAt *string `json:"forecast_full_at"` // null: not as far as can be seen
}

func newQuotaAnswer(q *messages.QuotaInfo) quotaAnswer {
	a := quotaAnswer{
		Tenant: q.GetTenant(), UsedBytes: q.GetUsedBytes(), ReservedBytes: q.GetReservedBytes(), Files: q.GetFiles(),
		OverQuota: q.GetLimited() && q.GetUsedBytes() > q.GetLimitBytes(), ForecastFullAt: moment(q.GetFullUnixMs()),
	}
	if q.GetLimited() {
		a.LimitBytes = &q.LimitBytes
	}
	return a
}

// maxQuotasLimit bounds the tenants of one page.
const maxQuotasLimit = 1000

// listQuotas answers GET /quotas: every tenant that has files or a limit, a page at a
// time, by name; ?tenant= only that one. A token of a tenant is shown that tenant.
func (c *call) listQuotas() error {
	q, err := strictQuery(c.query, "tenant", "limit", "cursor")
	if err != nil {
		return err
	}
	tenant := q["tenant"]
	if tenant != "" {
		if err := model.CheckTenant(tenant); err != nil {
			return err
		}
	}
	if !c.who.Cluster() { // its own only; of others it learns nothing, not even that they are there
		if tenant, err = c.who.TenantFor(tenant); err != nil {
			return c.refuse(err, "not_found")
		}
	}
	limit := uint64(maxQuotasLimit)
	if text, given := q["limit"]; given {
		if limit, err = strconv.ParseUint(text, 10, 32); err != nil || limit < 1 || limit > maxQuotasLimit {
			return badQuery("the limit %q must be a number from 1 to %d", clip(text), maxQuotasLimit)
		}
	}
	after := ""
	if cursor := q["cursor"]; cursor != "" {
		if after, err = decodeCursor(cursor, "", "quotas", ""); err != nil {
			return err
		}
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.Quotas(ctx, tenant, after, uint32(limit))
	if err != nil {
		return err
	}
	out := struct {
		Quotas     []quotaAnswer `json:"quotas"`
		NextCursor string        `json:"next_cursor"`
	}{Quotas: []quotaAnswer{}}
	for _, info := range reply.Quotas {
		out.Quotas = append(out.Quotas, newQuotaAnswer(info))
	}
	if reply.Next != "" {
		out.NextCursor = encodeCursor("", "quotas", "", reply.Next)
	}
	return c.answerValue(out)
}

// changeQuota answers POST /quotas: 200 with how the tenant stands then.
func (c *call) changeQuota() error {
	if _, err := strictQuery(c.query); err != nil {
		c.leaveBody()
		return err
	}
	obj, err := c.readObject("tenant", "limit_bytes")
	if err != nil {
		return err
	}
	tenant, limit, err := decodeQuota(obj)
	if err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.ChangeQuota(ctx, tenant, limit)
	if err != nil {
		return err
	}
	return c.answerValue(newQuotaAnswer(reply.GetQuota()))
}

// decodeQuota reads a tenant and its limit, nil for none. Both must be given: a limit
// that was left out by mistake must not take one away. All that is wrong is in the one
// error.
func decodeQuota(obj object) (tenant string, limit *int64, err error) {
	p := &problems{}
	tenant, isText := obj["tenant"].(string)
	switch {
	case !isText:
		p.add("tenant", "must be given, as a string")
	default:
		if err := model.CheckTenant(tenant); err != nil {
			p.add("tenant", "%s", messageOf(err))
		}
	}
	switch v, given := obj["limit_bytes"]; n := v.(type) {
	case nil:
		if !given {
			p.add("limit_bytes", "must be given: bytes, or null to take the limit away")
		}
	case json.Number:
		bytes, err := strconv.ParseInt(string(n), 10, 64)
		if err != nil || bytes < 0 {
			p.add("limit_bytes", "must be a whole number of bytes, 0 or more, not %s", clip(string(n)))
		}
		limit = &bytes
	default:
		p.add("limit_bytes", "must be a whole number of bytes, 0 or more, or null")
	}
	return tenant, limit, p.err("change a quota")
}

// differenceAnswer is a tenant whose usage is counted wrongly.
type differenceAnswer struct {
	Tenant       string `json:"tenant"`
	CountedBytes int64  `json:"counted_bytes"` // by the tenant's row
	FoundBytes   int64  `json:"found_bytes"`   // in its files
	CountedFiles int64  `json:"counted_files"`
	FoundFiles   int64  `json:"found_files"`
}

// verifyQuotas answers POST /quotas/verify.
func (c *call) verifyQuotas() error {
	if _, err := strictQuery(c.query); err != nil {
		c.leaveBody()
		return err
	}
	if _, err := c.readOptionalObject(); err != nil {
		return err
	}
	ctx, cancel := c.context(c.s.cfg.RequestTimeout)
	defer cancel()
	reply, err := c.s.gw.VerifyQuotas(ctx)
	if err != nil {
		return err
	}
	out := struct {
		OK          bool               `json:"ok"`
		Tenants     uint64             `json:"tenants"`
		Files       uint64             `json:"files"`
		Applied     uint64             `json:"applied"` // log index of which this is true
		Differences []differenceAnswer `json:"differences"`
	}{OK: len(reply.Differences) == 0, Tenants: reply.Tenants, Files: reply.Files, Applied: reply.Applied, Differences: []differenceAnswer{}}
	for _, d := range reply.Differences {
		out.Differences = append(out.Differences, differenceAnswer{
			Tenant: d.Tenant, CountedBytes: d.CountedBytes, FoundBytes: d.FoundBytes, CountedFiles: d.CountedFiles, FoundFiles: d.FoundFiles,
		})
	}
	return c.answerValue(out)
}
