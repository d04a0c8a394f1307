package simtest

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"

	"tiercel/cluster/model"
)

// register is the state of one path; version 0 while present means that the write
// which made it was never answered, so its version is not known yet.
type register struct {
	present bool
	value   string
	version uint64
}

// pair is the state of a group.
type pair [2]register

// checkLinear checks invariants 2 and 3: per group, the history is that of two
// registers. Refused operations are left out: should one take effect all the same,
// a read shows a value that no state explains. Undecided counts as a failure.
func checkLinear(history []operation) []string {
	var bad []string
	for g := range groups {
		var ops []porcupine.Operation
		for _, o := range history {
			if o.in.group != g || refusedForGood(o.out) || o.in.kind == opGet && o.out.unknown {
				continue
			}
			ret := o.ret
			if o.out.unknown {
				ret = math.MaxInt64 // it may take effect at any later time, or never
			}
			ops = append(ops, porcupine.Operation{ClientId: o.client, Input: o.in, Output: o.out, Call: o.call, Return: ret})
		}
		if r := porcupine.CheckOperationsTimeout(registers, ops, 30*time.Second); r != porcupine.Ok {
			bad = append(bad, fmt.Sprintf("linearizability of %s and %s: %s\n%s", pathOf(g, 0), pathOf(g, 1), r, tell(ops)))
		}
	}
	return bad
}

// tell lists a history for a person, in order of call.
func tell(ops []porcupine.Operation) string {
	var b strings.Builder
	for _, o := range ops {
		ret := time.Duration(o.Return).String()
		if o.Return == math.MaxInt64 {
			ret = "?"
		}
		fmt.Fprintf(&b, "  %12v - %12s client %d %s\n", time.Duration(o.Call), ret, o.ClientId, describe(o.Input.(input), o.Output.(output)))
	}
	return b.String()
}

func describe(in input, out output) string {
	what := [...]string{opPut: "put", opGet: "get", opDelete: "delete", opMove: "move"}[in.kind]
	s := fmt.Sprintf("%s %d", what, in.path)
	switch {
	case in.kind == opMove:
		s += fmt.Sprintf(" to %d", in.to)
	case in.mustNotExist:
		s += " if absent"
	case in.ifMatch:
		s += fmt.Sprintf(" if %d", in.version)
	}
	if in.value != "" {
		s += " " + in.value
	}
	switch {
	case out.unknown:
		return s + " -> unknown"
	case out.code != "":
		return s + " -> " + out.code
	case in.kind == opGet && !out.present:
		return s + " -> absent"
	case in.kind == opGet:
		return fmt.Sprintf("%s -> %s at %d", s, out.value, out.version)
	}
	return fmt.Sprintf("%s -> %d (created %v)", s, out.version, out.created)
}

// refusedForGood reports whether the answer promises that nothing happened and
// says nothing about the state.
func refusedForGood(o output) bool {
	switch model.Code(o.code) {
	case "", model.CodePreconditionFailed, model.CodeNotFound, model.CodeConflict:
		return false
	}
	return true
}

var registers = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{pair{}} },
	Step: func(state, in, out any) []any {
		var next []any
		for _, s := range step1(state.(pair), in.(input), out.(output)) {
			next = append(next, s)
		}
		return next
	},
	Equal: func(a, b any) bool { return a.(pair) == b.(pair) },
}).ToModel()

// step1 lists the states that may follow s when in gave out.
func step1(s pair, in input, out output) []pair {
	r := s[in.path]
	switch in.kind {
	case opGet:
		if out.present != r.present || out.present && out.value != r.value ||
			out.present && r.version != 0 && out.version != r.version {
			return nil
		}
		s[in.path].version = out.version
		return []pair{s}
	case opMove:
		return stepMove(s, in, out)
	}
	var next []pair
	for _, met := range conditionMet(r, in) {
		if n, ok := stepWrite(s, in, out, met); ok {
			next = append(next, n)
		}
	}
	return next
}

// conditionMet lists the possible judgements: both where the version is not known.
func conditionMet(r register, in input) []bool {
	switch {
	case in.mustNotExist:
		return []bool{!r.present}
	case in.ifMatch && !r.present:
		return []bool{false}
	case in.ifMatch && r.version == 0:
		return []bool{true, false}
	case in.ifMatch:
		return []bool{r.version == in.version}
	case in.kind == opDelete && !r.present:
		return []bool{false}
	}
	return []bool{true}
}

// stepWrite applies a put or delete whose condition was met or not.
func stepWrite(s pair, in input, out output, met bool) (pair, bool) {
	r := s[in.path]
	if !met {
		want := model.CodePreconditionFailed
		if in.kind == opDelete && !in.ifMatch {
			want = model.CodeNotFound
		}
		return s, out.unknown || out.code == string(want)
	}
	if out.code != "" {
		return s, false
	}
	if !out.unknown && out.version <= r.version {
		return s, false
	}
	if in.kind == opDelete {
		s[in.path] = register{}
		return s, true
	}
	if !out.unknown && out.created == r.present {
		return s, false
	}
	s[in.path] = register{present: true, value: in.value, version: out.version}
	return s, true
}

func stepMove(s pair, in input, out output) []pair {
	from := s[in.path]
	if !from.present {
		if out.unknown || out.code == string(model.CodeNotFound) {
			return []pair{s}
		}
		return nil
	}
	if out.code != "" || !out.unknown && out.version <= max(from.version, s[in.to].version) {
		return nil
	}
	s[in.path] = register{}
	s[in.to] = register{present: true, value: from.value, version: out.version}
	return []pair{s}
}
