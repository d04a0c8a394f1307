//go:build !linux

package controller

import "time"

var began = time.Now()

// threadTime is the time that has passed: here nothing better is at hand.
func threadTime() time.Duration { return time.Since(began) }
