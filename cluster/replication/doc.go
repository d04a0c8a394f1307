// Package replication decides who shall hold the copies of sealed volumes: it repairs
// and evacuates what was lost, empties workers on request, follows a change of the
// copies that a tier wants, and evens out full and empty disks. Rows are the truth, the
// workers' state is the evidence, and Plan names the steps between the two.
//
// It owns no state: a plan is made from scratch each time, and applying its steps and
// planning again converges to no steps. What must be remembered (which job brought a
// copy, who is being drained) is in the rows.
//
// It refuses to give up a copy before others have taken its place: first a member is
// added, then its copy is verified, then the surplus goes, one member of a volume at a
// time, and only when one of the copies that stay was read, or made, a moment ago: a disk
// does not tell when it goes bad. A copy on an unreachable worker is kept; it may come back. A damaged copy is
// never a source. Nothing is placed onto a worker that is not healthy, and nothing moves
// for a worker that is only degraded. Mass repair waits for the storm brake.
//
// Open volumes belong to cluster/volumes and count here as debt only; scrubs and
// compactions belong to others. It imports cluster/model, cluster/placement,
// cluster/tier and messages. Read types.go, then plan.go, add.go and remove.go.
package replication
