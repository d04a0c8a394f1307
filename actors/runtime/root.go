package runtime

import (
	"sync"

	"github.com/asynkron/protoactor-go/actor"

	"tiercel/cluster/model"
)

// Root supervises the top-level actors of one node: like a Shell its children,
// except that an exhausted one halts the node.
type Root struct {
	host    Host
	mu      sync.Mutex // failures arrive on the goroutines of the actors that failed
	byName  map[string]*supervised
	started []string // in the order of Spawn
}

// NewRoot makes the root supervisor of a host.
func NewRoot(host Host) *Root { return &Root{host: host, byName: make(map[string]*supervised)} }

// Spawn starts a top-level actor. A name is free again once its actor has stopped.
func (r *Root) Spawn(name string, p Producer) (*actor.PID, error) {
	// Held over the spawn, so that the actor cannot fail before it is known here.
	r.mu.Lock()
	defer r.mu.Unlock()
	pid, err := r.host.System().Root.SpawnNamed(props(r.host, p, actor.WithGuardian(r)), name)
	if err != nil {
		return nil, model.Errorf(model.CodeInternal, "spawn root actor",
			"the actor %q cannot be started on %s: %w; use another name or wait for its end", name, r.host.Node(), err)
	}
	if r.byName[name] == nil {
		r.started = append(r.started, name)
	}
	r.byName[name] = &supervised{pid: pid, policy: newPolicy(nil)}
	return pid, nil
}

// Started lists the top-level actors in the order they were spawned in, those
// that have stopped included.
func (r *Root) Started() []*actor.PID {
	r.mu.Lock()
	defer r.mu.Unlock()
	pids := make([]*actor.PID, len(r.started))
	for i, name := range r.started {
		pids[i] = r.byName[name].pid
	}
	return pids
}

// HandleFailure implements protoactor's SupervisorStrategy.
func (r *Root) HandleFailure(system *actor.ActorSystem, _ actor.Supervisor, who *actor.PID, _ *actor.RestartStatistics, reason, _ any) {
	r.mu.Lock()
	child := r.byName[who.Id]
	backoff, ok := child.fail(r.host.Now())
	r.mu.Unlock()
	if !ok {
		r.host.Counters().Escalations.Add(1)
		r.host.Halt(model.Errorf(model.CodeInternal, "supervise", "the actor %s failed more than %d times in %v, the last time with: %v",
			who.Id, child.policy.max, child.policy.within, Reason(reason)))
		return
	}
	r.host.StartTimer(backoff, func() { restart(system, who) })
}
