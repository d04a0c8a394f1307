package catalog

import (
	"math"
	"slices"
	"strings"

	"tiercel/cluster/model"
	"tiercel/cluster/quota"
	"tiercel/messages"
)

// surveyPatience is after how many entries a survey that nobody goes on with is given up.
const surveyPatience = 1 << 20

// survey adds up what the files of each tenant count, from the rows alone, a piece at a
// time. What is written meanwhile to a path that has been passed changes the sums by the
// rows themselves, so that at the end they are those of one moment: the last. It is no
// part of the state: a survey is lost with the process, and begun again.
type survey struct {
	at    string // key of the last row that was added
	moved uint64 // applied index when it last went on
	files uint64
	sums  map[string]*messages.TenantRow // used_bytes and files
}

// BeginSurvey begins to add up usage anew.
func (c *Catalog) BeginSurvey() {
	c.survey = &survey{at: prefixFile, moved: c.applied, sums: make(map[string]*messages.TenantRow)}
}

// Survey adds the next rows. ok is false when no survey is under way, or was given up.
func (c *Catalog) Survey(rows int) (done, ok bool) {
	s := c.survey
	if s == nil {
		return false, false
	}
	s.moved = c.applied
	done = true
	c.ix.Ascend(s.at, func(key, value string) bool {
		rest, isFile := strings.CutPrefix(key, prefixFile)
		if !isFile {
			return false
		}
		if key == s.at { // it was added before
			return true
		}
		if rows <= 0 {
			done = false
			return false
		}
		rows--
		s.at = key
		s.count(c, rest, value, 1)
		return true
	})
	return done, c.halted == nil
}

// SurveyResult ends a survey: how many tenants and files there are, beside what the
// cluster keeps for itself, and the tenants whose row counts something else than their
// files come to, by name.
func (c *Catalog) SurveyResult() (tenants, files uint64, differences []*messages.UsageDifference) {
	s := c.survey
	c.survey = nil
	for name, t := range c.tenants {
		found := s.sums[name]
		delete(s.sums, name)
		if name == model.SystemTenant {
			s.files -= uint64(found.GetFiles())
		} else {
			tenants++
		}
		if t.row.UsedBytes != found.GetUsedBytes() || t.row.Files != found.GetFiles() {
			differences = append(differences, &messages.UsageDifference{
				Tenant: name, CountedBytes: t.row.UsedBytes, CountedFiles: t.row.Files, FoundBytes: found.GetUsedBytes(), FoundFiles: found.GetFiles(),
			})
		}
	}
	for name, found := range s.sums { // of a tenant that has no row
		if found.Files == 0 && found.UsedBytes == 0 {
			continue
		}
		tenants++
		differences = append(differences, &messages.UsageDifference{Tenant: name, FoundBytes: found.UsedBytes, FoundFiles: found.Files})
	}
	slices.SortFunc(differences, func(a, b *messages.UsageDifference) int { return strings.Compare(a.Tenant, b.Tenant) })
	return tenants, s.files, differences
}

// Miscounted does a whole survey at once, for checkers.
func (c *Catalog) Miscounted() []*messages.UsageDifference {
	under := c.survey
	c.BeginSurvey()
	c.Survey(math.MaxInt)
	_, _, differences := c.SurveyResult()
	c.survey = under
	return differences
}

// surveyed takes a change of a row into account that the survey has passed; no value:
// there was, or is, no row.
func (c *Catalog) surveyed(key, before, after string) {
	s := c.survey
	if c.applied > s.moved+surveyPatience {
		c.survey = nil
		return
	}
	rest, isFile := strings.CutPrefix(key, prefixFile)
	if !isFile || key > s.at {
		return
	}
	if before != "" {
		s.count(c, rest, before, -1)
	}
	if after != "" {
		s.count(c, rest, after, 1)
	}
}

// count adds one row of a file, or takes it out.
func (s *survey) count(c *Catalog, rest, value string, sign int64) {
	tenant, _, _ := strings.Cut(rest, "\x00")
	row := &messages.FileRow{}
	if !c.decode(prefixFile+rest, value, row) {
		return
	}
	t := sum(s.sums, tenant)
	t.Files += sign
	t.UsedBytes += sign * quota.Charged(row)
	s.files += uint64(sign)
}
