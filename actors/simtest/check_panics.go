package simtest

import (
	"context"
	"log/slog"
	"strings"
)

// panics is a log handler that turns a panic of an actor or of its offloaded work
// into a violation: a restart would hide it. Failures that the story itself throws
// in do not pass here.
type panics struct {
	slog.Handler
	story *story
}

// Enabled lets errors through even when nobody reads the log.
func (p panics) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelError || p.Handler.Enabled(ctx, level)
}

// Handle looks at the record and hands it on.
func (p panics) Handle(ctx context.Context, r slog.Record) error {
	if strings.Contains(r.Message, "panicked") {
		text := r.Message
		r.Attrs(func(a slog.Attr) bool {
			text += " " + a.String()
			return true
		})
		p.story.violate("%s", text)
	}
	if !p.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return p.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (p panics) WithAttrs(attrs []slog.Attr) slog.Handler {
	return panics{p.Handler.WithAttrs(attrs), p.story}
}

// WithGroup implements slog.Handler.
func (p panics) WithGroup(name string) slog.Handler {
	return panics{p.Handler.WithGroup(name), p.story}
}
