package access

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
)

func tableOf(t *testing.T, entries ...Entry) *Table {
	t.Helper()
	table, problems := NewTable(entries)
	require.Empty(t, problems)
	return table
}

func TestChangesBetween_NamesEachTokenThatLetsInAnother(t *testing.T) {
	end := time.Date(2027, 1, 31, 0, 0, 0, 0, time.UTC)
	ops := Entry{Name: "ops", Hash: Hash{1}, Role: model.RoleAdmin, Cluster: true}
	ci := Entry{Name: "ci", Hash: Hash{2}, Role: model.RoleReadOnly, Tenant: "acme"}
	with := func(e Entry, change func(*Entry)) Entry { change(&e); return e }
	for _, c := range []struct {
		name          string
		before, after []Entry
		says          string
	}{
		{"nothing", []Entry{ops, ci}, []Entry{ops, ci}, "the tokens are the same as before"},
		{"another order", []Entry{ops, ci}, []Entry{ci, ops}, "the tokens are the same as before"},
		{"the same end in another zone", []Entry{with(ci, func(e *Entry) { e.Expires = end })}, []Entry{with(ci, func(e *Entry) { e.Expires = end.In(time.FixedZone("", 3600)) })}, "the tokens are the same as before"},
		{"added", []Entry{ops}, []Entry{ops, ci}, "added ci (read-only of tenant acme)"},
		{"revoked", []Entry{ops, ci}, []Entry{ops}, "revoked ci"},
		{"the last one", []Entry{ops}, nil, "revoked ops"},
		{"another secret", []Entry{ci}, []Entry{with(ci, func(e *Entry) { e.Hash = Hash{9} })}, "changed ci (another token)"},
		{"more", []Entry{ci}, []Entry{with(ci, func(e *Entry) { e.Role = model.RoleReadWrite })}, "changed ci (read-write of tenant acme, was read-only of tenant acme)"},
		{"further", []Entry{ci}, []Entry{with(ci, func(e *Entry) { e.Tenant, e.Cluster = "", true })}, "changed ci (read-only of the cluster, was read-only of tenant acme)"},
		{"shorter", []Entry{ci}, []Entry{with(ci, func(e *Entry) { e.Expires = end })}, "changed ci (expires 2027-01-31T00:00:00Z, was never)"},
		{"another name", []Entry{ci}, []Entry{with(ci, func(e *Entry) { e.Name = "cd" })}, "added cd (read-only of tenant acme); revoked ci"},
		{"all at once", []Entry{ops, ci}, []Entry{with(ops, func(e *Entry) { e.Hash, e.Expires = Hash{8}, end }), {Name: "new", Hash: Hash{3}, Role: model.RoleReadOnly, Cluster: true}},
			"added new (read-only of the cluster); revoked ci; changed ops (another token; expires 2027-01-31T00:00:00Z, was never)"},
	} {
		changes := ChangesBetween(tableOf(t, c.before...), tableOf(t, c.after...))
		assert.Equal(t, c.says, changes.String(), c.name)
		assert.Equal(t, c.says == Changes{}.String(), changes.None(), c.name)
	}
	assert.Equal(t, "added ops (admin of the cluster)", ChangesBetween(nil, tableOf(t, ops)).String())
}

func TestChangesBetween_TellsABoundedLineHoweverManyThereAre(t *testing.T) {
	many := make([]Entry, 100)
	for i := range many {
		many[i] = Entry{Name: fmt.Sprintf("t-%d", i), Hash: Hash{1, byte(i)}, Role: model.RoleReadOnly, Cluster: true}
	}
	c := ChangesBetween(tableOf(t), tableOf(t, many...))
	assert.Len(t, c.Added, 100)
	assert.Contains(t, c.String(), "t-19 (read-only of the cluster) and 80 more")
	assert.NotContains(t, c.String(), "t-20")
}
