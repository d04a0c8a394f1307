package model_test

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cluster/model"
)

func TestRole_IncludesTheOnesBelowAndNothingElse(t *testing.T) {
	const ro, rw, admin = model.RoleReadOnly, model.RoleReadWrite, model.RoleAdmin
	for _, c := range []struct {
		has, needed model.Role
		may         bool
	}{
		{ro, ro, true}, {ro, rw, false}, {ro, admin, false},
		{rw, ro, true}, {rw, rw, true}, {rw, admin, false},
		{admin, ro, true}, {admin, rw, true}, {admin, admin, true},
		{"", ro, false}, {"root", ro, false}, {admin, "root", false}, {"", "", false}, {admin, "", false},
	} {
		assert.Equal(t, c.may, c.has.Includes(c.needed), "%q for %q", c.has, c.needed)
	}
}

func TestPrincipal_TheTokenNamesTheTenantAndTheRequestCannot(t *testing.T) {
	for _, c := range []struct {
		name          string
		role          model.Role
		tenant, named string
		gets          string // empty: not_found
	}{
		{"its own, not named", model.RoleReadWrite, "acme", "", "acme"},
		{"its own, named", model.RoleReadWrite, "acme", "acme", "acme"},
		{"another one", model.RoleReadWrite, "acme", "umbrella", ""},
		{"the default one", model.RoleReadWrite, "acme", "default", ""},
		{"another one, as admin of a tenant", model.RoleAdmin, "acme", "umbrella", ""},
		{"cluster, not named", model.RoleReadOnly, "", "", "default"},
		{"cluster, the default named", model.RoleReadOnly, "", "default", "default"},
		{"cluster, another one to read", model.RoleReadOnly, "", "acme", ""},
		{"cluster, another one to write", model.RoleReadWrite, "", "acme", ""},
		{"cluster, another one as admin", model.RoleAdmin, "", "acme", "acme"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := model.Principal{Name: "t", Role: c.role, Tenant: c.tenant}
			got, err := p.TenantFor(c.named)
			assert.Equal(t, c.gets, got)
			if c.gets == "" {
				assert.Equal(t, model.CodeNotFound, model.CodeOf(err))
			} else {
				assert.NoError(t, err)
			}
		})
	}
}
