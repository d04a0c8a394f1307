package planted

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"
)

// Bug is one planted bug.
type Bug struct {
	Name    string         // of its file, without .txt
	What    string         // what it does wrong, one sentence
	Rule    string         // the rule it breaks: a section or an invariant of DESIGN
	Package string         // one package pattern, such as ./cluster/model
	Run     string         // -run pattern of the test that must catch it
	Env     []string       // NAME=value
	Expect  *regexp.Regexp // nil: any failure will do
	Timeout time.Duration  // of one run of the test
	Edits   []Edit
}

// Edit replaces one text of one file.
type Edit struct {
	File     string // slash-separated, relative to the module
	Old, New string // whole lines
}

// defaultTimeout is how long one run of a test may take.
const defaultTimeout = 2 * time.Minute

// LoadDir reads every *.txt of a directory, sorted by name.
func LoadDir(dir string) ([]Bug, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.txt"))
	if err != nil {
		return nil, fmt.Errorf("find planted bugs in %s: %w", dir, err)
	}
	sort.Strings(names)
	bugs := make([]Bug, 0, len(names))
	for _, name := range names {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, fmt.Errorf("read planted bug: %w", err)
		}
		bug, err := Parse(strings.TrimSuffix(filepath.Base(name), ".txt"), string(text))
		if err != nil {
			return nil, err
		}
		bugs = append(bugs, bug)
	}
	return bugs, nil
}

// Parse reads the format of the package comment.
func Parse(name, text string) (Bug, error) {
	p := parser{bug: Bug{Name: name, Timeout: defaultTimeout}}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if err := p.line(line); err != nil {
			return Bug{}, fmt.Errorf("planted bug %s, line %d: %w", name, i+1, err)
		}
	}
	if err := p.end(); err != nil {
		return Bug{}, fmt.Errorf("planted bug %s: %w", name, err)
	}
	return p.bug, nil
}

// parser goes header -> (file -> old -> new -> end)*.
type parser struct {
	bug      Bug
	section  string // "", "file", "old", "new", "end"
	edit     Edit
	old, new []string
}

// follows says which section may come after which.
var follows = map[string]string{"file": "old", "old": "new", "new": "end"}

func (p *parser) line(line string) error {
	if mark, ok := strings.CutPrefix(line, "--- "); ok {
		section, argument, _ := strings.Cut(mark, " ")
		return p.mark(section, strings.TrimSpace(argument))
	}
	switch p.section {
	case "old":
		p.old = append(p.old, line)
	case "new":
		p.new = append(p.new, line)
	case "":
		return p.header(line)
	default:
		if strings.TrimSpace(line) != "" {
			return fmt.Errorf("unexpected text after --- %s: %q", p.section, line)
		}
	}
	return nil
}

// mark begins a section.
func (p *parser) mark(section, argument string) error {
	want, inEdit := follows[p.section]
	if !inEdit {
		want = "file"
	}
	if section != want {
		return fmt.Errorf("--- %s where --- %s belongs", section, want)
	}
	p.section = section
	switch section {
	case "file":
		if argument == "" || strings.HasPrefix(argument, "/") || strings.Contains(argument, "..") {
			return fmt.Errorf("--- file needs a path inside the module, not %q", argument)
		}
		p.edit, p.old, p.new = Edit{File: argument}, nil, nil
	case "end":
		p.edit.Old, p.edit.New = strings.Join(p.old, "\n"), strings.Join(p.new, "\n")
		if strings.TrimSpace(p.edit.Old) == "" || p.edit.Old == p.edit.New {
			return fmt.Errorf("the edit of %s changes nothing: give old text, and another new text", p.edit.File)
		}
		p.bug.Edits = append(p.bug.Edits, p.edit)
	}
	return nil
}

func (p *parser) header(line string) error {
	if strings.TrimSpace(line) == "" {
		return nil
	}
	key, value, ok := strings.Cut(line, ":")
	value = strings.TrimSpace(value)
	if !ok || value == "" {
		return fmt.Errorf("a header line is \"key: value\", not %q", line)
	}
	var err error
	switch key {
	case "what":
		p.bug.What = value
	case "rule":
		p.bug.Rule = value
	case "package":
		p.bug.Package = value
	case "run":
		if _, err = regexp.Compile(value); err == nil {
			p.bug.Run = value
		}
	case "env":
		p.bug.Env = append(p.bug.Env, strings.Fields(value)...)
	case "expect":
		p.bug.Expect, err = regexp.Compile(value)
	case "timeout":
		p.bug.Timeout, err = time.ParseDuration(value)
	default:
		err = fmt.Errorf("unknown header %q; known are what, rule, package, run, env, expect, timeout", key)
	}
	return err
}

func (p *parser) end() error {
	b := p.bug
	switch {
	case p.section != "end" && p.section != "":
		return fmt.Errorf("the last edit has no --- end")
	case len(b.Edits) == 0:
		return fmt.Errorf("no edits")
	case b.What == "" || b.Rule == "" || b.Package == "" || b.Run == "":
		return fmt.Errorf("the header needs what, rule, package and run")
	case !strings.HasPrefix(b.Package, "./") || strings.Contains(b.Package, "..."):
		return fmt.Errorf("package is one package such as ./cluster/model, not %q", b.Package)
	}
	for _, v := range b.Env {
		if !strings.Contains(v, "=") {
			return fmt.Errorf("env is NAME=value, not %q", v)
		}
	}
	return nil
}
