// Package license says what the licence of a cluster allows: the one table of levels
// and features, and the rules over the facts that the log holds of an installed licence.
//
// It owns no signature and no key: those are cluster/license/signed, which whoever
// proposes a licence asks, and which the catalog cannot import. It refuses with
// license_denied, naming the feature and the lowest level that has it.
//
// Invariants:
//   - What is allowed depends on the log's row alone. A clock has a say only as a field
//     of a command, and the row keeps the highest time that any of them brought: a clock
//     that was moved back revives nothing. Only a licence that was issued after all those
//     that were ever installed tells the time anew, because its issuer signed it.
//   - A licence that has expired by the log's word is the level free, for good.
//   - Nothing here is asked for reads, deletes, repair, drain, export, or a worker that
//     is registered already.
//
// Read first: table.go (levels and features), rule.go (what a row allows, and when).
package license
