package catalog

import (
	"cmp"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protowire"

	"tiercel/messages"
)

// session is the retry protection of one gateway (DESIGN "Retries"): results
// above low water are kept, so that a command sent again is answered and not
// applied again; at or below it nothing is known any more, and the answer is
// outcome_unknown, never a second application.
type session struct {
	marks
	id          uint64
	node        string
	incarnation uint64
	low         uint64 // every sequence up to it is answered for good
	kept        []kept // by sequence, ascending, all above low
	uploads     int    // under way
}

// kept is one result in the form the row has it: field 4, tag and length included.
type kept struct {
	sequence uint64
	encoded  []byte
}

// resultsField is the number of SessionRow.results, the last field of the row.
const resultsField = 4

// admit applies a command under its session: it looks the sequence up, and
// keeps the result. A hash check must find the state as the entry before left
// it, low water included, so it is done outside of any session.
func (c *Catalog) admit(e entry) *messages.CommandResult {
	_, isCheck := e.cmd.Kind.(*messages.Command_CheckStateHash)
	if e.cmd.Session == 0 || c.cluster == nil || isCheck {
		return c.dispatch(e)
	}
	s := c.sessions[e.cmd.Session]
	if s == nil {
		return refuse("no_session")
	}
	sequence := e.cmd.Sequence
	if sequence <= s.low {
		return refuse("below_low_water", "low_water", strconv.FormatUint(s.low, 10))
	}
	if at, found := s.find(sequence); found {
		res := c.recorded(s, at)
		c.forget(s, e.cmd.LowWater)
		return res
	}
	c.forget(s, min(e.cmd.LowWater, sequence-1))
	if len(s.kept) >= MaxSessionResults {
		return refuse("session_full", "results", strconv.Itoa(len(s.kept)))
	}
	res := c.dispatch(e)
	if c.halted == nil && !s.gone { // a command may end its own session
		c.keep(s, sequence, res)
		c.forget(s, e.cmd.LowWater)
	}
	return res
}

// find is the position of a sequence among the kept results.
func (s *session) find(sequence uint64) (at int, found bool) {
	if n := len(s.kept); n == 0 || s.kept[n-1].sequence < sequence {
		return n, false // the usual case: the newest yet
	}
	return slices.BinarySearchFunc(s.kept, sequence, func(k kept, q uint64) int { return cmp.Compare(k.sequence, q) })
}

// keep records a result.
func (c *Catalog) keep(s *session, sequence uint64, res *messages.CommandResult) {
	at, _ := s.find(sequence)
	s.kept = slices.Insert(s.kept, at, c.encodeKept(sequence, res))
	c.touch(s)
}

// encodeKept encodes a result without the sentence of a refusal, which is no
// part of the state.
func (c *Catalog) encodeKept(sequence uint64, res *messages.CommandResult) kept {
	message := res.Message
	res.Message = ""
	value := c.encodeBuf(&messages.SessionResult{Sequence: sequence, Result: res})
	res.Message = message

	encoded := make([]byte, 0, protowire.SizeTag(resultsField)+protowire.SizeBytes(len(value)))
	encoded = protowire.AppendTag(encoded, resultsField, protowire.BytesType)
	return kept{sequence: sequence, encoded: protowire.AppendBytes(encoded, value)}
}

// recorded is a kept result again, as it was answered the first time.
func (c *Catalog) recorded(s *session, at int) *messages.CommandResult {
	row := &messages.SessionRow{}
	if !c.decode(s.key(), string(s.kept[at].encoded), row) || len(row.Results) != 1 {
		return nil
	}
	return explain(row.Results[0].GetResult())
}

// forget raises low water and drops the results at or below it.
func (c *Catalog) forget(s *session, low uint64) {
	if low <= s.low {
		return
	}
	s.low = low
	n := 0
	for n < len(s.kept) && s.kept[n].sequence <= low {
		s.kept[n] = kept{}
		n++
	}
	s.kept = s.kept[n:]
	c.touch(s)
}

// openSession opens a session: its id is the log index. Sessions of the node's
// earlier incarnations end, and their uploads with them.
func (c *Catalog) openSession(e entry, open *messages.OpenSession) *messages.CommandResult {
	node, incarnation := open.GetNode(), open.GetIncarnation()
	if !validName(node) {
		return refuse("bad_field", "field", "node")
	}
	same := 0
	ids := c.sessionsOf(node)
	for _, id := range ids {
		switch s := c.sessions[id]; {
		case s.incarnation > incarnation:
			return refuse("stale_incarnation", "incarnation", strconv.FormatUint(s.incarnation, 10))
		case s.incarnation == incarnation:
			same++
		}
	}
	for _, id := range ids {
		s := c.sessions[id]
		if s.incarnation < incarnation {
			c.endSession(s)
		} else if same >= MaxSessionsPerIncarnation {
			c.endSession(s)
			same--
		}
	}
	s := &session{id: e.index, node: node, incarnation: incarnation}
	c.sessions[s.id] = s
	c.touch(s)
	return &messages.CommandResult{Id: s.id}
}

// sessionsOf lists the sessions of a node, oldest first.
func (c *Catalog) sessionsOf(node string) []uint64 {
	var ids []uint64
	for id, s := range c.sessions {
		if s.node == node {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// endSession forgets a session and drops the uploads it had staged.
func (c *Catalog) endSession(s *session) {
	if s.uploads > 0 {
		for _, u := range c.uploadsOf(s.id) {
			c.dropUpload(u)
		}
	}
	s.gone = true
	delete(c.sessions, s.id)
	c.remove(s.key())
}

// sessionOf derives a session from its row.
func (c *Catalog) sessionOf(id uint64, row *messages.SessionRow) *session {
	s := &session{id: id, node: row.Node, incarnation: row.Incarnation, low: row.LowWater}
	for _, r := range row.Results {
		s.kept = append(s.kept, c.encodeKept(r.GetSequence(), r.GetResult()))
	}
	return s
}

func (s *session) key() string { return idKey(prefixSession, s.id) }

// encoded is the row: the small fields, then the results as they were kept. It
// is what encoding a whole SessionRow would give, without touching each result.
func (s *session) encoded(c *Catalog) string {
	buf := c.encodeBuf(&messages.SessionRow{Node: s.node, Incarnation: s.incarnation, LowWater: s.low})
	for _, k := range s.kept {
		buf = append(buf, k.encoded...)
	}
	c.buf = buf
	return string(buf)
}
