// Package placement chooses where bytes go (DESIGN "Placement"). A score
// places a volume; this package holds the other half, the choice of one of the
// open volumes for one write.
//
// It keeps nothing and draws nothing: the caller brings the state and the
// random number, and the same input gives the same choice. Imports
// cluster/model only.
package placement
