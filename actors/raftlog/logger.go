package raftlog

import (
	"fmt"
	"log/slog"
)

// raftLogger hands Raft's own log to slog. A panic of Raft stays a panic: it is
// a broken invariant and belongs to the supervisor.
type raftLogger struct{ *slog.Logger }

func (l raftLogger) Debug(v ...any)                 {}
func (l raftLogger) Debugf(format string, v ...any) {}
func (l raftLogger) Info(v ...any)                  { l.Logger.Debug("raft", "text", fmt.Sprint(v...)) }
func (l raftLogger) Infof(f string, v ...any)       { l.Logger.Debug("raft", "text", fmt.Sprintf(f, v...)) }
func (l raftLogger) Warning(v ...any)               { l.Logger.Warn("raft", "text", fmt.Sprint(v...)) }
func (l raftLogger) Warningf(f string, v ...any)    { l.Logger.Warn("raft", "text", fmt.Sprintf(f, v...)) }
func (l raftLogger) Error(v ...any)                 { l.Logger.Error("raft", "text", fmt.Sprint(v...)) }
func (l raftLogger) Errorf(f string, v ...any)      { l.Logger.Error("raft", "text", fmt.Sprintf(f, v...)) }
func (l raftLogger) Fatal(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLogger) Fatalf(f string, v ...any)      { panic(fmt.Sprintf(f, v...)) }
func (l raftLogger) Panic(v ...any)                 { panic(fmt.Sprint(v...)) }
func (l raftLogger) Panicf(f string, v ...any)      { panic(fmt.Sprintf(f, v...)) }
