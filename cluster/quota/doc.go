// Package quota holds the rules of per-tenant limits: what a file counts, who may
// begin a write, what is set aside for writes under way, and when a tenant will be full.
//
// It owns the ledger of reservations, which is soft: the catalog judges every command
// by itself (cluster/catalog), so that usage stays within the limit whatever is
// forgotten here. The ledger is there so that a write that cannot fit is refused before
// its bytes go anywhere, and so that writes that were let in find their room.
//
// It refuses a write whose tenant's usage, with all that is reserved, would exceed the
// limit. A write that raises nothing is never refused.
//
// Invariants: what is reserved for a tenant is the sum of its holds; a write has one
// hold however often it asks; a hold ends with its write, with its gateway's session,
// or when nothing has been heard of it for its lease.
//
// Pure: no clock (the time is passed in), one owner at a time. Read first: ledger.go.
// Imports cluster/tier, for the copies that a tier wants, and messages.
package quota
