package license

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"tiercel/messages"
)

// maxNamed bounds how many names a sentence or a fact lists.
const maxNamed = 5

// DenyDC is why a worker of a datacenter may not join workers that are in others; nil: it
// may. Who has no label is nowhere else.
func (g Grant) DenyDC(dc string, others []string) *Denial {
	d := g.Deny(CrossDC)
	elsewhere := func(other string) bool { return other != "" && other != dc }
	if d == nil || dc == "" || !slices.ContainsFunc(others, elsewhere) {
		return nil
	}
	d.facts[factDC], d.facts[factOtherDC] = dc, named(others)
	return d
}

// Relabel lists, by their place, the workers that may now have the label they were last
// started with (WorkerRow.dc_asked). Where datacenters are not licensed that is when all
// workers that are there and have a label were started with the same one: then the cluster
// is in one datacenter, whatever it was called before. One worker alone moves nowhere.
func (g Grant) Relabel(rows []*messages.WorkerRow) (places []int) {
	label := ""
	for i, w := range rows {
		if w.State == messages.WorkerState_LEFT {
			continue
		}
		if w.DcAsked != "" {
			places = append(places, i)
		}
		asked := cmp.Or(w.DcAsked, w.Dc)
		if label = cmp.Or(label, asked); asked != "" && asked != label && !g.Has(CrossDC) {
			return nil
		}
	}
	return places
}

// labelWarnings say which workers keep another label than they were started with, and
// what to do.
func (g Grant) labelWarnings(nodes []string, rows []*messages.WorkerRow) (out []string) {
	var labels []string
	for _, w := range rows {
		if w.State != messages.WorkerState_LEFT && w.DcAsked != "" {
			labels = append(labels, w.DcAsked)
		}
	}
	for _, label := range distinct(labels) {
		var waiting, stay, others []string
		for i, w := range rows {
			switch {
			case w.State == messages.WorkerState_LEFT:
			case w.DcAsked == label:
				waiting, stay = append(waiting, nodes[i]), append(stay, w.Dc)
			case cmp.Or(w.DcAsked, w.Dc) != "" && cmp.Or(w.DcAsked, w.Dc) != label:
				others = append(others, nodes[i])
			}
		}
		out = append(out, fmt.Sprintf("started with --dc %s and kept in datacenter %s: %s. %s is not part of the licence level %s, so a label counts when all workers have it. "+
			"If %s is right, start the others with it, too (%s), or remove those that are gone; if it is not, start these with the one they had",
			label, named(stay), named(waiting), CrossDC.Title(), g.level, label, named(others)))
	}
	return out
}

// distinct are the names that are not empty, each once, in order.
func distinct(names []string) []string {
	out := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return n == "" })
	slices.Sort(out)
	return slices.Compact(out)
}

// named lists distinct names for people, not too many.
func named(names []string) string {
	out := distinct(names)
	switch more := len(out) - maxNamed; {
	case more > 0:
		return fmt.Sprintf("%s and %d more", strings.Join(out[:maxNamed], ", "), more)
	case len(out) > 1:
		return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1]
	}
	return strings.Join(out, "")
}
