package catalog

import (
	"tiercel/messages"
	"tiercel/store"
)

// Stubs; being filled in.

type Catalog struct{ ix store.Index }

func New(ix store.Index) *Catalog { return &Catalog{ix: ix} }
func (c *Catalog) Err() error     { return nil }
func (c *Catalog) Apply(index uint64, cmd *messages.Command) (*messages.CommandResult, error) {
	return nil, nil
}

// Advance notes an entry that carries no command.
func (c *Catalog) Advance(index uint64) error { return nil }
func (c *Catalog) Begin()                     {}
func (c *Catalog) End()                       {}
func (c *Catalog) Applied() uint64            { return 0 }
func (c *Catalog) StateHash() []byte          { return nil }
func (c *Catalog) Recompute() []byte          { return nil }
func (c *Catalog) Stat(tenant, path string) (*messages.FileRow, bool) {
	return nil, false
}
func (c *Catalog) Manifest(id, first uint64, max int) []*messages.Extent { return nil }
func (c *Catalog) List(tenant, prefix, delimiter, after string, limit int) (files []*messages.ListedFile, prefixes []string, next string) {
	return nil, nil, ""
}
func (c *Catalog) Volume(id uint64) (*messages.VolumeRow, bool)          { return nil, false }
func (c *Catalog) Volumes() []*messages.VolumeRow                        { return nil }
func (c *Catalog) Workers() (nodes []string, rows []*messages.WorkerRow) { return nil, nil }
func (c *Catalog) Tenant(name string) (*messages.TenantRow, bool)        { return nil, false }
func (c *Catalog) Totals() *messages.TenantRow                           { return nil }
func (c *Catalog) Cluster() *messages.ClusterRow                         { return nil }
func (c *Catalog) Session(id uint64) (*messages.SessionRow, bool)        { return nil, false }
func (c *Catalog) Verify() []string                                      { return nil }

type State uint8

const (
	ExtentOK State = iota
	ExtentLost
	ExtentDropped
)

func ExtentState(vol *messages.VolumeRow, e *messages.Extent) State { return ExtentOK }
