package planted

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

// Harness tries planted bugs on one module. It may be used concurrently.
type Harness struct {
	root string // of the module, absolute
	temp string // for overlays and test binaries

	mu       sync.Mutex
	binaries map[string]func() (string, error) // package -> its unmutated test binary
	healthy  map[string]func() error           // package, pattern, env -> does it pass?
}

// NewHarness makes a harness for the module at root that works in temp.
func NewHarness(root, temp string) (*Harness, error) {
	absolute, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("find the module: %w", err)
	}
	return &Harness{
		root: absolute, temp: temp,
		binaries: make(map[string]func() (string, error)), healthy: make(map[string]func() error),
	}, nil
}

// Caught tells how a planted bug was caught.
type Caught struct {
	Test string // the first test that failed, or "panic"
	Line string // the first line that says why
	Seed string // the seed it named, if any
}

// String is one line for a report.
func (c Caught) String() string {
	s := c.Test
	if c.Seed != "" {
		s += ", seed " + c.Seed
	}
	if c.Line != "" {
		s += ": " + c.Line
	}
	return s
}

// Try plants one bug and returns how it was caught, or why it does not count.
func (h *Harness) Try(ctx context.Context, bug Bug) (Caught, error) {
	overlay, err := h.overlay(bug)
	if err != nil {
		return Caught{}, err
	}
	// Named as its overlay, which is its own: two bugs of one name may be tried at once.
	mutant, err := h.build(ctx, filepath.Base(filepath.Dir(overlay)), bug.Package, overlay)
	if err != nil {
		return Caught{}, fmt.Errorf("the mutant does not compile, which is no catch: %w", err)
	}
	if err := h.passesWithout(ctx, bug); err != nil {
		return Caught{}, err
	}
	output, err := h.run(ctx, mutant, bug)
	if err != nil {
		return Caught{}, err
	}
	return judge(bug, output)
}

// judge decides whether the output of a mutant's test is a catch.
func judge(bug Bug, output testOutput) (Caught, error) {
	switch {
	case output.passed:
		return Caught{}, fmt.Errorf("NOT CAUGHT: %s passes although %s (%s)", bug.Run, bug.What, bug.Rule)
	case bug.Expect != nil && !bug.Expect.MatchString(output.text):
		return Caught{}, fmt.Errorf("fails, but not as expected (%s):\n%s", bug.Expect, tail(output.text))
	case bug.Expect == nil && strings.Contains(output.text, "panic: test timed out"):
		return Caught{}, fmt.Errorf("only ran out of time, which is no catch:\n%s", tail(output.text))
	}
	return output.caught(), nil
}

// overlay writes the mutated files and the description that the go command reads.
func (h *Harness) overlay(bug Bug) (string, error) {
	dir, err := os.MkdirTemp(h.temp, "overlay-")
	if err != nil {
		return "", fmt.Errorf("make an overlay: %w", err)
	}
	texts := make(map[string]string)
	for _, e := range bug.Edits {
		text, seen := texts[e.File]
		if !seen {
			original, err := os.ReadFile(filepath.Join(h.root, filepath.FromSlash(e.File)))
			if err != nil {
				return "", fmt.Errorf("the file of the edit: %w; bring the planted bug in step with the code", err)
			}
			text = string(original)
		}
		if texts[e.File], err = e.apply(text); err != nil {
			return "", err
		}
	}
	replace := make(map[string]string)
	for name, text := range texts {
		mutated := filepath.Join(dir, strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(mutated, []byte(text), 0o644); err != nil {
			return "", fmt.Errorf("write the mutated file: %w", err)
		}
		replace[filepath.Join(h.root, filepath.FromSlash(name))] = mutated
	}
	description, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", fmt.Errorf("describe the overlay: %w", err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, description, 0o644); err != nil {
		return "", fmt.Errorf("write the overlay: %w", err)
	}
	return name, nil
}

// apply replaces the whole lines of e.Old, which must occur exactly once.
func (e Edit) apply(text string) (string, error) {
	lines, old := strings.Split(text, "\n"), strings.Split(e.Old, "\n")
	at, n := 0, 0
	for i := 0; i+len(old) <= len(lines); i++ {
		if slices.Equal(lines[i:i+len(old)], old) {
			at, n = i, n+1
		}
	}
	if n != 1 {
		return "", fmt.Errorf("the old text occurs %d times in %s, not once; bring the planted bug in step with the code:\n%s", n, e.File, e.Old)
	}
	var replacement []string
	if e.New != "" {
		replacement = strings.Split(e.New, "\n")
	}
	return strings.Join(slices.Replace(lines, at, at+len(old), replacement...), "\n"), nil
}

// build compiles the tests of a package without vet and returns the binary.
func (h *Harness) build(ctx context.Context, name, pkg, overlay string) (string, error) {
	binary := filepath.Join(h.temp, strings.ReplaceAll(name, "/", "_")+".test")
	args := []string{"test", "-c", "-o", binary}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Dir = h.root
	if output, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go test -c %s: %w:\n%s", pkg, err, tail(string(output)))
	}
	return binary, nil
}

// passesWithout requires the test to run and pass without the bug, once for
// each package, pattern and environment.
func (h *Harness) passesWithout(ctx context.Context, bug Bug) error {
	h.mu.Lock()
	binary, ok := h.binaries[bug.Package]
	if !ok {
		binary = sync.OnceValues(func() (string, error) { return h.build(ctx, "unmutated"+bug.Package, bug.Package, "") })
		h.binaries[bug.Package] = binary
	}
	key := bug.Package + "\x00" + bug.Run + "\x00" + strings.Join(bug.Env, "\x00")
	healthy, ok := h.healthy[key]
	if !ok {
		healthy = sync.OnceValue(func() error { return h.passes(ctx, binary, bug) })
		h.healthy[key] = healthy
	}
	h.mu.Unlock()
	return healthy()
}

func (h *Harness) passes(ctx context.Context, build func() (string, error), bug Bug) error {
	binary, err := build()
	if err != nil {
		return fmt.Errorf("the test does not compile without the bug: %w", err)
	}
	output, err := h.run(ctx, binary, bug)
	switch {
	case err != nil:
		return err
	case !output.passed:
		return fmt.Errorf("%s in %s fails without the bug, so it proves nothing:\n%s", bug.Run, bug.Package, tail(output.text))
	}
	return nil
}

// testOutput is what one run of a test binary said.
type testOutput struct {
	passed bool
	text   string
}

// killGrace is how long a test binary may go on beyond its timeout.
const killGrace = time.Minute

// run runs the bug's test in its package directory. A pattern that runs no test
// is an error, as is a binary that cannot be started or was killed: whatever it had said
// by then, it has failed no test.
func (h *Harness) run(ctx context.Context, binary string, bug Bug) (testOutput, error) {
	// The binary ends itself at its timeout and says so; on a slow machine it takes long
	// to start and to dump its goroutines.
	ctx, cancel := context.WithTimeout(ctx, bug.Timeout+killGrace)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, "-test.run", bug.Run, "-test.v", "-test.timeout", bug.Timeout.String())
	cmd.Dir = filepath.Join(h.root, filepath.FromSlash(bug.Package))
	cmd.Env = append(os.Environ(), bug.Env...)
	var text bytes.Buffer
	cmd.Stdout, cmd.Stderr = &text, &text
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return testOutput{}, fmt.Errorf("%s ran out of time and was killed, so it proves nothing:\n%s", bug.Run, tail(text.String()))
	case !errors.As(err, &exit):
		return testOutput{}, fmt.Errorf("run the test %s: %w", bug.Run, err)
	case exit.ExitCode() < 0: // Go itself exits after a panic; a signal comes from outside
		return testOutput{}, fmt.Errorf("%s was killed (%w), so it proves nothing:\n%s", bug.Run, err, tail(text.String()))
	}
	if !strings.Contains(text.String(), "=== RUN") {
		return testOutput{}, fmt.Errorf("-run %s matches no test in %s:\n%s", bug.Run, bug.Package, tail(text.String()))
	}
	return testOutput{passed: err == nil, text: text.String()}, nil
}

var (
	failedTest  = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	failedLine  = regexp.MustCompile(`(?m)^\s*(\w+_test\.go:\d+: \S.*|Error:\s.*|panic: .*|fatal error: .*)$`)
	reasonEnd   = regexp.MustCompile(`(?m)^\s*(Test:|Diff:|--- |=== |goroutine |\w+_test\.go:\d+: )`)
	namedSeed   = regexp.MustCompile(`(?i)(?:\b|_)seed[ =:]+(0x[0-9a-f]+|\d+)`)
	whiteSpaces = regexp.MustCompile(`\s+`)
)

// mostOfAWhy is how many bytes of the reason go into a report.
const mostOfAWhy = 300

// caught reads from a failing output what failed and why.
func (o testOutput) caught() Caught {
	c := Caught{Test: "panic"}
	if m := failedTest.FindStringSubmatch(o.text); m != nil {
		c.Test = m[1]
	}
	if m := failedLine.FindStringSubmatchIndex(o.text); m != nil {
		reason, rest := o.text[m[2]:m[3]], o.text[m[3]:]
		if end := reasonEnd.FindStringIndex(rest); end != nil {
			reason += rest[:end[0]] // an assertion goes on over some lines
		}
		c.Line = strings.TrimSpace(whiteSpaces.ReplaceAllString(reason, " "))
		c.Line = c.Line[:min(len(c.Line), mostOfAWhy)]
	}
	if m := namedSeed.FindStringSubmatch(o.text); m != nil {
		c.Seed = m[1]
	}
	return c
}

// tail is the end of a long output.
func tail(text string) string {
	const most = 4000
	if len(text) > most {
		text = "…" + text[len(text)-most:]
	}
	return text
}
