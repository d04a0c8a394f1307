package runtime

import (
	"context"
	"log/slog"
)

// Demoted is a handler that lets a library's lines through as debug: the events
// that matter are logged by the packages around it, in their own words.
func Demoted(h slog.Handler) slog.Handler { return &demoted{h} }

type demoted struct{ slog.Handler }

// Enabled implements slog.Handler.
func (d *demoted) Enabled(ctx context.Context, _ slog.Level) bool {
	return d.Handler.Enabled(ctx, slog.LevelDebug)
}

// Handle implements slog.Handler.
func (d *demoted) Handle(ctx context.Context, r slog.Record) error {
	r.Level = slog.LevelDebug
	return d.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (d *demoted) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &demoted{d.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (d *demoted) WithGroup(name string) slog.Handler { return &demoted{d.Handler.WithGroup(name)} }
