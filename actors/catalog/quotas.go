package catalog

import (
	"tiercel/cluster/model"
	"tiercel/messages"
)

const (
	// maxTenantsPage bounds the tenants of one answer.
	maxTenantsPage = 10_000
	// maxSurveyRows bounds the rows that one SurveyUsage adds: applying waits for that.
	maxSurveyRows = 10_000
	// maxDifferences bounds those of one answer.
	maxDifferences = 1000
)

// quotaStand answers how writes stand to their tenants' limits at the applied index.
func (c *Catalog) quotaStand(m *messages.QuotaStand) *messages.QuotaStandReply {
	r := &messages.QuotaStandReply{Header: messages.ReplyHeader(m.Header)}
	for _, w := range m.Writes {
		row, more := c.cat.Raises(w.Tenant, w.Path, w.Tier, w.Bytes)
		r.Writes = append(r.Writes, &messages.QuotaAnswer{
			Limited: row.GetLimited(), LimitBytes: row.GetLimitBytes(), UsedBytes: row.GetUsedBytes(), MoreBytes: more,
		})
	}
	if m.All {
		r.All = true
		r.Limited, r.Staged = c.cat.Limited(), c.cat.StagedByLimited()
	}
	for _, id := range m.Sessions {
		if !c.cat.HasSession(id) {
			r.GoneSessions = append(r.GoneSessions, id)
		}
	}
	for _, id := range m.Uploads {
		if !c.cat.HasUpload(id) {
			r.GoneUploads = append(r.GoneUploads, id)
		}
	}
	return r
}

// listTenants answers with one tenant, which may have no row yet, or with a page.
func (c *Catalog) listTenants(m *messages.ListTenants) *messages.ListTenantsReply {
	r := &messages.ListTenantsReply{Header: messages.ReplyHeader(m.Header)}
	if m.Tenant != "" {
		row, ok := c.cat.Tenant(m.Tenant)
		if !ok {
			row = &messages.TenantRow{}
		}
		r.Tenants = []*messages.NamedTenant{{Name: m.Tenant, Row: row}}
		return r
	}
	limit := int(m.Limit)
	if limit <= 0 || limit > maxTenantsPage {
		limit = maxTenantsPage
	}
	r.Tenants, r.Next = c.cat.Tenants(m.After, limit, m.LimitedOnly)
	return r
}

// surveyUsage goes on with a survey, and at its end answers with what it found.
func (c *Catalog) surveyUsage(m *messages.SurveyUsage) *messages.SurveyUsageReply {
	r := &messages.SurveyUsageReply{Header: messages.ReplyHeader(m.Header), Applied: c.cat.Applied()}
	if err := c.cat.Err(); err != nil {
		r.Error = messages.FromError(model.Errorf(model.CodeUnavailable, "verify quotas", "the catalog of this node has stopped: %w", err))
		return r
	}
	if m.Begin {
		c.cat.BeginSurvey()
	}
	done, ok := c.cat.Survey(min(int(m.Rows), maxSurveyRows))
	r.Done, r.Gone = done, !ok
	if done {
		r.Tenants, r.Files, r.Differences = c.cat.SurveyResult()
		r.Differences = r.Differences[:min(len(r.Differences), maxDifferences)]
	}
	return r
}
