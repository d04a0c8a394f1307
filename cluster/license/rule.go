package license

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"tiercel/cluster/model"
	"tiercel/messages"
)

// NoteEvery is how often the master tells the log what time it is while there is a
// licence that can expire.
const NoteEvery = time.Hour

// Grant is what a cluster may do by its licence.
type Grant struct {
	level Level
	row   *messages.LicenseRow // that was installed last; nil: none
}

// Of is what the log's row of a licence allows; nil: none was ever installed. One of a
// level that this program does not know allows what everybody may.
func Of(row *messages.LicenseRow) Grant {
	g := Grant{level: Free, row: row}
	if row != nil && !row.Expired && Level(row.Level).Known() {
		g.level = Level(row.Level)
	}
	return g
}

// Level is the level in force.
func (g Grant) Level() Level { return g.level }

// Has reports whether a feature is there at all; Replicates says for which tiers.
func (g Grant) Has(f Feature) bool { return at(g.level, f).has }

// MaxWorkers is how many data workers may register; 0: any number.
func (g Grant) MaxWorkers() uint64 {
	most := at(g.level, DataWorkers).workers
	if own := g.row.GetMaxWorkers(); own > 0 && !g.row.Expired && (most == 0 || own < most) {
		return own
	}
	return most
}

// Replicates reports whether new content of a tier may have more than one copy.
func (g Grant) Replicates(t model.Tier) bool {
	return strings.Contains(at(g.level, Tiered).tiers, strconv.Itoa(int(t))) && (t != model.TierCritical || g.Has(Synchronous))
}

// Copies is how many copies new content of a tier gets of those that are wanted.
func (g Grant) Copies(t model.Tier, wanted int) int {
	if !g.Replicates(t) {
		return min(wanted, 1)
	}
	return wanted
}

// Denial says that something is not licensed. Its facts go into the log, where a sentence
// has no place.
type Denial struct {
	Feature Feature
	Needs   Level // the lowest level that has it
	Has     Level // in force
	facts   map[string]string
}

// Names of the facts of a denial, beside feature, level and current_level.
const (
	factLicense = "license" // id of the one installed last
	factExpired = "license_expired"
	factLimit   = "limit"
	factPresent = "workers"
	factDC      = "dc"
	factOtherDC = "cluster_dc"
	factSetting = "setting"
)

func (g Grant) denial(f Feature, needs Level) *Denial {
	d := &Denial{Feature: f, Needs: needs, Has: g.level}
	d.facts = map[string]string{"feature": string(f), "level": string(needs), "current_level": string(g.level)}
	if g.row != nil {
		d.facts[factLicense] = g.row.Id
	}
	if g.row.GetExpired() {
		d.facts[factExpired] = "true"
	}
	return d
}

// Deny is why a feature may not be used; nil: it may.
func (g Grant) Deny(f Feature) *Denial {
	if g.Has(f) {
		return nil
	}
	return g.denial(f, lowestWith(f, func(cell) bool { return true }))
}

// DenyTier is why a tier may not be asked for by name; nil: it may. What has one copy
// by its nature asks for nothing that a level could lack.
func (g Grant) DenyTier(t model.Tier) *Denial {
	if t == model.TierRebuildable {
		return nil
	}
	return g.DenyCopies(t)
}

// DenyCopies is why a tier may not be given more than one copy; nil: it may.
func (g Grant) DenyCopies(t model.Tier) *Denial {
	switch {
	case g.Replicates(t):
		return nil
	case t == model.TierCritical:
		return g.Deny(Synchronous)
	}
	return g.denial(Tiered, lowestWith(Tiered, func(c cell) bool { return strings.Contains(c.tiers, strconv.Itoa(int(t))) }))
}

// DenyWorker is why one more data worker may not register beside so many; nil: it may.
// Of those that are there nobody asks.
func (g Grant) DenyWorker(present int) *Denial {
	most := g.MaxWorkers()
	if most == 0 || uint64(present) < most {
		return nil
	}
	f, needs := DataWorkers, lowestWith(DataWorkers, func(c cell) bool { return c.workers == 0 || c.workers > most })
	if !g.Has(Clustering) {
		f = Clustering
	}
	if needs.index() < g.level.index() {
		needs = g.level // only the licence's own limit is in the way
	}
	d := g.denial(f, needs)
	d.facts[factLimit], d.facts[factPresent] = strconv.FormatUint(most, 10), strconv.Itoa(present)
	return d
}

// ForSetting names the setting that asked for it, true or false, to those who change many
// together.
func (d *Denial) ForSetting(key string) *Denial {
	if d != nil {
		d.facts[factSetting] = key
	}
	return d
}

// Facts are the details of the error.
func (d *Denial) Facts() map[string]string { return d.facts }

// Allows reports whether what another licence was denied, by the facts of the denial, is
// part of this one.
func (g Grant) Allows(facts map[string]string) bool {
	if facts[factLimit] != "" {
		present, err := strconv.Atoi(facts[factPresent])
		return err == nil && g.DenyWorker(present) == nil
	}
	return g.Has(Feature(facts["feature"]))
}

// Err is the denial as an error; nil for nil.
func (d *Denial) Err(op string) error {
	if d == nil {
		return nil
	}
	err := model.Errorf(model.CodeLicenseDenied, op, "%s", Sentence(d.facts))
	for k, v := range d.facts { // into a map: the order does not matter
		err = err.With(k, v)
	}
	return err
}

// Sentence says the facts of a denial to a person, with what to do.
func Sentence(facts map[string]string) string {
	why := "there is no licence"
	switch id := facts[factLicense]; {
	case facts[factExpired] != "":
		why = "the licence " + id + " has expired"
	case id != "":
		why = "the licence " + id
	}
	current := fmt.Sprintf("the licence level %s of this cluster (%s)", facts["current_level"], why)
	title, has := Feature(facts["feature"]).Title(), facts["level"]
	switch {
	case facts[factLimit] != "":
		has = "the level " + has + " allows more"
		if facts["level"] == facts["current_level"] {
			has = "the limit is that licence's own"
		}
		return fmt.Sprintf("%s: %s allows %s, and the cluster has %s; %s. Install a licence on a node of the cluster with `tiercel license install`, then start this node again; or remove a worker that is gone with `tiercel workers remove`",
			title, current, counted(facts[factLimit], "data worker"), facts[factPresent], has)
	case facts[factDC] != "":
		return fmt.Sprintf("the node is in datacenter %s and the cluster in %s, and %s is not part of %s; the level %s has it. If --dc of this node is wrong start it with the right one; "+
			"if that of the cluster is, start each of its workers with the right one. %s",
			facts[factDC], facts[factOtherDC], title, current, has, toDo)
	case facts[factSetting] != "":
		return fmt.Sprintf("%s is not part of %s; the level %s has it. %s; without one leave %s out of the change, or set it to false",
			title, current, has, toDo, facts[factSetting])
	}
	return fmt.Sprintf("%s is not part of %s; the level %s has it. %s", title, current, has, toDo)
}

const toDo = "A licence is installed with `tiercel license install`"

func counted(n, noun string) string {
	if n == "1" {
		return n + " " + noun
	}
	return n + " " + noun + "s"
}
