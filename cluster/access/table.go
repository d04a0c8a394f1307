package access

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"time"

	"tiercel/cluster/model"
)

// MaxTokens bounds a table.
const MaxTokens = 10_000

const maxNameBytes = 128

// reservedNode is what the audit log calls the node itself.
const reservedNode = "node"

// Entry is one token as it is kept.
type Entry struct {
	Name    string
	Hash    Hash
	Role    model.Role
	Tenant  string    // of a tenant; empty with Cluster
	Cluster bool      // bound to the cluster instead
	Expires time.Time // zero: never
}

// Check lists what is wrong with an entry by itself.
func (e *Entry) Check() (problems []error) {
	add := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if err := CheckName(e.Name); err != nil {
		problems = append(problems, err)
	}
	if !e.Role.Valid() {
		add("role: %q is not one of read-only, read-write and admin", e.Role)
	}
	switch {
	case e.Tenant != "" && e.Cluster:
		add("give either a tenant or \"cluster: true\", not both")
	case e.Tenant == "" && !e.Cluster:
		add("give the tenant it is bound to, or \"cluster: true\"")
	case e.Tenant != "":
		if err := model.CheckTenant(e.Tenant); err != nil {
			add("tenant: %q: %w", e.Tenant, err)
		}
	}
	if e.Hash == (Hash{}) {
		add("sha256: the hash of the token is missing")
	}
	return problems
}

// CheckName says what is wrong with a token's name, which goes into logs.
func CheckName(name string) error {
	if name == "" || len(name) > maxNameBytes {
		return fmt.Errorf("name: must have 1 to %d characters", maxNameBytes)
	}
	if name == reservedNode || name == model.Anybody.Name {
		return fmt.Errorf("name: %q is what the audit log calls %s; choose another", name,
			map[string]string{reservedNode: "a node itself", model.Anybody.Name: "a caller without a token"}[name])
	}
	for _, r := range name {
		if r <= ' ' || r > '~' || r == '"' || r == '\\' {
			return fmt.Errorf("name: %q has a character other than printable ASCII without spaces and quotes", name)
		}
	}
	return nil
}

// Remark is what who makes the token should know of it; empty: it is as it looks. An admin
// manages the cluster (httpapi/access.go), and no request of that kind is of one tenant.
func (e *Entry) Remark() string {
	if e.Role == model.RoleAdmin && !e.Cluster {
		return "bound to a tenant, an admin may do what read-write may and no more; what manages the cluster is for admins bound to it"
	}
	return ""
}

// Expired reports whether the token has ended at a moment.
func (e *Entry) Expired(now time.Time) bool { return !e.Expires.IsZero() && !now.Before(e.Expires) }

// Principal is who the bearer of the token is.
func (e *Entry) Principal() model.Principal {
	return model.Principal{Name: e.Name, Role: e.Role, Tenant: e.Tenant}
}

// Table is a set of tokens; it never changes.
type Table struct {
	entries []Entry
	// byStart finds entries by the first bytes of their hash. How long that takes tells
	// nothing about a secret: the hash of a guess is nothing the guesser can steer.
	byStart map[uint64][]*Entry
}

// NewTable makes a table, or lists everything that is wrong with the entries.
func NewTable(entries []Entry) (*Table, []error) {
	t := &Table{entries: append([]Entry(nil), entries...), byStart: make(map[uint64][]*Entry, len(entries))}
	var problems []error
	if len(entries) > MaxTokens {
		problems = append(problems, fmt.Errorf("there are %d tokens; at most %d are allowed", len(entries), MaxTokens))
	}
	names := make(map[string]bool, len(entries))
	hashes := make(map[Hash]bool, len(entries))
	for i := range t.entries {
		e := &t.entries[i]
		where := fmt.Sprintf("token %d (%s)", i+1, e.Name)
		for _, p := range e.Check() {
			problems = append(problems, fmt.Errorf("%s: %w", where, p))
		}
		if names[e.Name] && e.Name != "" {
			problems = append(problems, fmt.Errorf("%s: the name is given twice", where))
		}
		if hashes[e.Hash] && e.Hash != (Hash{}) {
			problems = append(problems, fmt.Errorf("%s: another token has the same hash", where))
		}
		names[e.Name], hashes[e.Hash] = true, true
		start := startOf(e.Hash)
		t.byStart[start] = append(t.byStart[start], e)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return t, nil
}

func startOf(h Hash) uint64 { return binary.BigEndian.Uint64(h[:8]) }

// Entries lists the tokens in the order in which they were given.
func (t *Table) Entries() []Entry { return append([]Entry(nil), t.entries...) }

// Identify returns who bears a secret now; unauthenticated when nobody does any more, or
// ever did.
func (t *Table) Identify(secret string, now time.Time) (*model.Principal, error) {
	const op = "authenticate"
	hash, err := HashOf(secret)
	if err != nil {
		return nil, model.Errorf(model.CodeUnauthenticated, op, "%s", err.(*model.Error).Message)
	}
	for _, e := range t.byStart[startOf(hash)] {
		if subtle.ConstantTimeCompare(e.Hash[:], hash[:]) != 1 {
			continue
		}
		if e.Expired(now) {
			return nil, model.Errorf(model.CodeUnauthenticated, op, "the token %q has expired at %s; ask for a new one",
				e.Name, e.Expires.UTC().Format(time.RFC3339))
		}
		p := e.Principal()
		return &p, nil
	}
	return nil, model.Errorf(model.CodeUnauthenticated, op,
		"the token is not known to this node; it was revoked, is of another cluster, or has not reached this node's token file yet")
}
