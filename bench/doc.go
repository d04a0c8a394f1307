// Command bench measures a Tiercel server from outside, over HTTP, as a client
// on the same machine meets it: closed loop, keep-alive, one connection per
// worker.
//
//	go run ./bench suite                                the standard set, side by side, on a server of its own
//	go run ./bench put --server http://127.0.0.1:8880   one workload (put, get, mixed, delete, list) on a running server
//	go run ./bench million --files 1000000 --size 1024  memory and disk per small file, time to restart
//	go run ./bench largefile --size 5GiB                one huge file in and out, server memory meanwhile
//	go run ./bench controller                           what thousands of simulated workers cost the master
//
// The last one needs no server: bench/controller runs the master's own actors in
// simulation. For the rest it owns the load, the clock and the counting; it knows the server only by
// its HTTP interface, its `ready` line and what Linux tells about a process.
// It refuses to report figures without saying how they were synced, and counts
// an operation only when the answer was right. bench/README.md explains the
// method.
//
// Read first: loop.go (the closed loop), workload.go (what one operation is).
package main
