package sim

import "time"

// event is something that will happen: fn at a virtual time, on a process or,
// when that is nil, to the world.
type event struct {
	at        time.Duration
	tie       uint64 // seeded: the order among events of the same instant
	seq       uint64
	proc      *process
	fn        func()
	index     int // in the queue, or notQueued
	cancelled bool
}

const notQueued = -1

func (e *event) before(o *event) bool {
	if e.at != o.at {
		return e.at < o.at
	}
	if e.tie != o.tie {
		return e.tie < o.tie
	}
	return e.seq < o.seq
}

// queue is a binary heap of events that knows where each one is, so that a
// stopped timer costs no memory until it would have been due.
type queue struct{ events []*event }

func (q *queue) peek() *event {
	if len(q.events) == 0 {
		return nil
	}
	return q.events[0]
}

func (q *queue) push(e *event) {
	e.index = len(q.events)
	q.events = append(q.events, e)
	q.up(e.index)
}

func (q *queue) remove(e *event) {
	i, last := e.index, len(q.events)-1
	if i != last {
		q.swap(i, last)
	}
	q.events[last] = nil
	q.events = q.events[:last]
	if i != last {
		q.down(i)
		q.up(i)
	}
	e.index = notQueued
}

func (q *queue) swap(i, j int) {
	q.events[i], q.events[j] = q.events[j], q.events[i]
	q.events[i].index, q.events[j].index = i, j
}

func (q *queue) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !q.events[i].before(q.events[parent]) {
			return
		}
		q.swap(i, parent)
		i = parent
	}
}

func (q *queue) down(i int) {
	for {
		least := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(q.events); child++ {
			if q.events[child].before(q.events[least]) {
				least = child
			}
		}
		if least == i {
			return
		}
		q.swap(i, least)
		i = least
	}
}
