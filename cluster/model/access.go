package model

// Role says what a token may do; each role includes the ones before it.
type Role string

// The roles, from the least to the most.
const (
	RoleReadOnly  Role = "read-only"
	RoleReadWrite Role = "read-write"
	RoleAdmin     Role = "admin"
)

// Roles lists them in that order.
var Roles = [...]Role{RoleReadOnly, RoleReadWrite, RoleAdmin}

// rank orders roles; 0 is for what is none.
func (r Role) rank() int {
	for i, known := range Roles {
		if r == known {
			return i + 1
		}
	}
	return 0
}

// Valid reports whether r is one of Roles.
func (r Role) Valid() bool { return r.rank() > 0 }

// Includes reports whether r may do what needed may. What is no role may do nothing.
func (r Role) Includes(needed Role) bool { return needed.Valid() && r.rank() >= needed.rank() }

// Principal is who sends a request: a token's name, role and reach.
type Principal struct {
	Name   string
	Role   Role
	Tenant string // empty: bound to the cluster
}

// TokenPrefix begins every token, so that people, and what writes logs, see what it is.
const TokenPrefix = "tiercel_"

// Anybody is who sends a request to a node without authentication.
var Anybody = Principal{Name: "anybody", Role: RoleAdmin}

// Cluster reports whether p is bound to the cluster, not to one tenant.
func (p *Principal) Cluster() bool { return p.Tenant == "" }

// TenantFor returns the tenant that a request of p is about; named is what its header
// says, empty for nothing. The token decides: one bound to a tenant reaches that one, one
// bound to the cluster the default tenant, and any other as an admin. Everything else is
// not_found, as if there were no such tenant, so that nobody can tell which there are.
func (p *Principal) TenantFor(named string) (string, error) {
	own := p.Tenant
	if own == "" {
		own = DefaultTenant
	}
	switch {
	case named == "" || named == own:
		return own, nil
	case p.Cluster() && p.Role.Includes(RoleAdmin):
		return named, nil
	}
	return "", Errorf(CodeNotFound, "find tenant",
		"there is no tenant %q for this token; leave X-Tenant-ID out, or use a token of that tenant", named)
}
