package config

import (
	"strconv"
	"strings"
)

// exampleWidth is where the lines of comments end.
const exampleWidth = 78

// Example is a YAML file with every setting, each with what it means and its
// default, as a comment: such a file changes nothing until a line is uncommented.
func Example() string {
	var b strings.Builder
	b.WriteString(`# Configuration of a Tiercel node: tiercel server --config THIS-FILE
#
# Each key is also a flag and an environment variable. A flag (--http) wins over
# the environment (TIERCEL_HTTP), the environment over this file, this file over the
# default, which is what is shown. Unknown keys are refused.
# 'tiercel server --check --config THIS-FILE' says what would be in force.
`)
	for _, s := range settings {
		about := strings.ReplaceAll(s.usage, "`", "")
		b.WriteString("\n")
		for _, line := range wrap(strings.ToUpper(about[:1])+about[1:]+".", exampleWidth-2) {
			b.WriteString("# " + line + "\n")
		}
		b.WriteString("# " + EnvName(s.name) + "\n")
		b.WriteString("#" + s.name + ": " + s.yamlDefault() + "\n")
	}
	return b.String()
}

func (set *setting) yamlDefault() string {
	if set.boolean {
		return set.value
	}
	if set.value == "" || strings.ContainsAny(set.value, ":#'\"{}[],&*!|>%@`") {
		return strconv.Quote(set.value)
	}
	return set.value
}

// wrap breaks text between words into lines of at most width bytes.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines = append(lines, line)
			line = ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}
