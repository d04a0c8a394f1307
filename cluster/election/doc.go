// Package election ranks the candidates for master and says when each campaigns
// once the master is silent (DESIGN "Master election").
//
// It refuses to rank by exact free capacity, which would churn: capacity counts in
// classes. It is pure; it imports cluster/model and messages. Read rank.go.
package election
