// Package tier says which tier a path belongs to and how many copies a tier
// has (DESIGN "Tiers"). The table is data in the cluster row: this package
// holds no configuration of its own except the rows a new cluster begins with.
//
// Invariant: every path has a tier, and a path that no row names is critical:
// safe by default. Imports cluster/model and messages only.
package tier
