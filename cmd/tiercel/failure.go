package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
	"tiercel/cmd/tiercel/internal/transfer"
)

// usageError is a wrong way to call tiercel; hint says what to read.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// errReported ends a verb with status 1 that has already said why.
var errReported error = model.Errorf(model.CodeInternal, "", "not all is well; what is printed on standard output says more")

// reported is errReported for who reads JSON and has not been told: as this error.
func reported(code model.Code, format string, args ...any) error {
	if code == "" {
		code = model.CodeInternal
	}
	return &reportedError{model.Errorf(code, "", format, args...)}
}

type reportedError struct{ err *model.Error }

func (e *reportedError) Error() string    { return e.err.Error() }
func (e *reportedError) Unwrap() error    { return e.err }
func (e *reportedError) Is(to error) bool { return to == errReported }

// fail says why a command line came to nothing, and returns the exit status. usage: it
// was wrong, and hint says what to read. With --output json the failure is JSON too.
func (a *app) fail(err error, usage bool, hint string, asJSON bool) int {
	status := exitFailed
	if usage {
		status = exitUsage
		err = errors.New(strings.TrimPrefix(err.Error(), transfer.ErrUsage.Error()+": "))
	}
	switch {
	case asJSON:
		a.failJSON(err, usage, hint)
	case usage:
		a.complain(err.Error())
		fmt.Fprintln(a.stderr, hint)
	case !errors.Is(err, errReported):
		a.complain(client.Message(err))
	}
	return status
}

// byFlags tells a refusal of what was given by the names under which it was given: the
// API has them for its own fields.
func byFlags(err error, names []struct{ field, flag string }) error {
	var coded *model.Error
	if !errors.As(err, &coded) {
		return err
	}
	var problems []string
	for _, n := range names {
		if text := coded.Details[n.field]; text != "" {
			problems = append(problems, n.flag+": "+text)
		}
	}
	switch {
	case len(problems) == 0 || len(problems) < len(coded.Details): // something else, too
		return errors.New(client.Message(err))
	case len(problems) == 1:
		return errors.New(problems[0])
	}
	return fmt.Errorf("%d problems, nothing was changed: %s", len(problems), strings.Join(problems, "; "))
}

// failJSON writes a failure on one line, in the form in which the API tells one.
func (a *app) failJSON(err error, usage bool, hint string) {
	var wire struct {
		Error struct {
			Code      model.Code        `json:"code"`
			Message   string            `json:"message"`
			RequestID string            `json:"request_id,omitempty"`
			Details   map[string]string `json:"details,omitempty"`
		} `json:"error"`
	}
	e := &wire.Error
	e.Code, e.Message = model.CodeInternal, err.Error()
	var coded *model.Error
	if usage {
		e.Code, e.Details = model.CodeInvalidArgument, map[string]string{"hint": strings.TrimSpace(hint)}
	} else if errors.As(err, &coded) {
		e.Code, e.Message = coded.Code, coded.Message
		if coded.Op != "" {
			e.Message = coded.Op + ": " + e.Message
		}
		for name, value := range coded.Details {
			if name == "request_id" {
				e.RequestID = value
				continue
			}
			if e.Details == nil {
				e.Details = map[string]string{}
			}
			e.Details[name] = value
		}
	}
	e.Message = strings.TrimSpace(e.Message)
	// Standard error is gone if this fails, and with it who could be told.
	_ = json.NewEncoder(a.stderr).Encode(wire)
}

// wantsJSON reports whether a command line asks for JSON, also one that could not be
// read as a whole.
func (a *app) wantsJSON(c *command, args []string) bool {
	output := c.Flags().Lookup("output")
	if output != nil && output.Changed {
		return output.Value.String() == "json"
	}
	// What cannot be parsed may stand before it, or the verb may be the one that is unknown.
	given := ""
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	flags.ParseErrorsAllowlist.UnknownFlags = true
	flags.SetOutput(io.Discard)
	flags.StringVarP(&given, "output", "o", "", "")
	flags.BoolP("help", "h", false, "") // else it would be an error
	if err := flags.Parse(args); err == nil && given != "" {
		return given == "json"
	}
	asksServer := c.Flags().Lookup("server") != nil
	return asksServer && a.variable(config.EnvName("output")) == "json"
}
