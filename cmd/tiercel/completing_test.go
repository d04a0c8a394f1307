package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"tiercel/cmd/tiercel/internal/client/clienttest"
)

// offered are the words that a shell is given for a line; the last word, which may be
// empty, is being typed. The directive is cobra's: 4 no files, 2 no space.
func (c *cli) offered(line string) (words, directive string) {
	c.t.Helper()
	out := strings.Split(strings.TrimSuffix(c.must(append([]string{"__complete"}, strings.Split(line, " ")...)...), "\n"), "\n")
	for i, word := range out[:len(out)-1] {
		out[i], _, _ = strings.Cut(word, "\t")
	}
	return strings.Join(out[:len(out)-1], " "), strings.TrimPrefix(out[len(out)-1], ":")
}

func TestCompletion_OffersWhatTheServerKnows(t *testing.T) {
	c := newCLI(t)
	for _, path := range []string{"/models/a", "/models/b/c", "/logs", "/only/here"} {
		c.server.Store(path, "x")
	}
	c.server.Say("GET /quotas", said(`{"quotas":[{"tenant":"acme","files":2,"used_bytes":5},{"tenant":"default"}]}`))
	c.server.Say("GET /cluster/jobs", said(`{"jobs":[{"job_id":"7","kind":"drain","state":"running"},{"job_id":"8","kind":"repair","state":"paused"},{"job_id":"9","kind":"repair","state":"done"}]}`))
	c.server.Say("GET /cluster/workers", clienttest.Answer{Body: `{"workers":[{"worker_id":"n-aa","state":"healthy"},{"worker_id":"n-gone","state":"left"},{"worker_id":"n-bb","state":"decommissioned"}]}`})
	const noFiles, noSpace, local = "4", "6", "0"
	for _, k := range []struct{ line, words, directive string }{
		{"ls ", "/logs /models/ /only/", noFiles},
		{"get /models/", "/models/a /models/b/", noFiles},
		{"explain /on", "/only/", noSpace},
		{"rm /logs /models/a", "/models/a", noFiles},
		{"cp /l", "/logs", noFiles},
		{"mv /logs /mod", "/models/", noSpace},
		{"mv /logs /x ", "", noFiles},
		{"tier move ", "1 2 3", noFiles},
		{"tier move 2 /logs /l", "/logs", noFiles},
		{"get /logs ", "", local},
		{"put ", "", local},
		{"put file /only/", "/only/here", noFiles},
		{"put file ./", "", local},
		{"ls relative", "", noFiles},
		{"quota set ", "acme default", noFiles},
		{"quota remove ", "acme default", noFiles},
		{"quota list ", "acme default", noFiles},
		{"quota set acme ", "", noFiles},
		{"ls --tenant ", "acme default", noFiles},
		{"jobs pause ", "7", noFiles},
		{"jobs resume ", "8", noFiles},
		{"jobs cancel ", "7 8", noFiles},
		{"jobs ", "cancel pause resume 7 8 9", noFiles},
		{"drain ", "n-aa n-bb", noFiles},
		{"explain /x --from ", "n-aa n-bb", noFiles},
	} {
		words, directive := c.offered(k.line)
		assert.Equal(t, k.words, words, k.line)
		assert.Equal(t, k.directive, directive, k.line)
	}
}

func TestCompletion_KnowsTheWordsOfFlagsAndAsksNobody(t *testing.T) {
	c := newCLI(t)
	for line, want := range map[string]string{
		"token create --role ": "read-only read-write admin", "dev --license-level ": "free standard professional enterprise",
		"license issue --level ": "free standard professional enterprise", "tier set 1 --disk ": "any nvme ssd hdd default",
		"bench put ": "get mixed delete",
	} {
		words, _ := c.offered(line)
		assert.Equal(t, want, words, line)
	}
	assert.Empty(t, c.server.Requests)
}

func TestHelpAndCompletion_OfWhatIsNotThereIsWrongUsage(t *testing.T) {
	c := newCLI(t)
	for line, want := range map[string]string{
		"completion tcsh": `there is no completion for "tcsh"; there is one for bash, fish, powershell, zsh`,
		"completion":      "a shell is missing",
		"help nosuchverb": "there is no verb \"nosuchverb\" below 'tiercel'; there are audit, backup, ",
		"help stauts":     "did you mean status?",
		"help config ste": "there is no verb \"ste\" below 'tiercel config'; did you mean set?",
		"help put a":      "'tiercel put' has none below it",
	} {
		o := c.run(strings.Fields(line)...)
		assert.Equal(t, exitUsage, o.status, line)
		assert.Contains(t, o.stderr, want, line)
		assert.Contains(t, o.stderr, "--help", line)
		assert.Empty(t, o.stdout, line)
	}
	assert.Contains(t, c.must("help"), "Exit status: 0 done")
	assert.Contains(t, c.must("help", "config", "set"), "--if-version")
}
