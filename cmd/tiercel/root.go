package main

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"tiercel/cmd/tiercel/internal/config"
)

type command = cobra.Command

func (a *app) rootCommand() *command {
	root := &command{
		Use:   "tiercel",
		Short: "A distributed file and object store that knows what data is worth",
		Long: `Tiercel stores files in tiers: critical data is durable on every replica before
the client hears "stored", important data a moment later, rebuildable data has
one copy on cheap disk.

Start a node with 'tiercel server', or a cluster to play with by 'tiercel dev', then
put, get, ls, rm, mv and cp files; 'tiercel status' and 'tiercel workers' show how it
is, 'tiercel explain' where things are and why, 'tiercel config' and 'tiercel tier'
change how it behaves. The verbs find the server by --server or TIERCEL_SERVER, and
are let in by --token or TIERCEL_TOKEN where it asks for one. They print tables, or
JSON with --output json or TIERCEL_OUTPUT=json.

Exit status: 0 done; 1 failed: the server or the machine said no; 2 wrong usage or
configuration: another command line is needed. With --output json the reason is the last
line of standard error, as the API tells it: {"error":{"code":"not_found","message":"…"}};
what is not a failure, such as that something is tried again, stands before it as text, and
--quiet leaves that out.`,
		Example: `  tiercel dev --nodes 3
  tiercel put ./model /models/
  tiercel status --server http://127.0.0.1:8880
  tiercel config keys`,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(c *command, _ []string) error {
			return &usageError{err: errors.New("a verb is missing"), hint: c.UsageString()}
		},
	}
	root.SetIn(a.stdin)
	root.SetOut(a.stdout)
	root.SetErr(a.stderr)
	root.SetFlagErrorFunc(explainFlag)
	root.AddCommand(
		a.serverCommand(), a.putCommand(), a.getCommand(), a.lsCommand(), a.rmCommand(),
		a.relocateCommand(false), a.relocateCommand(true), a.statusCommand(), a.fsckCommand(), a.takeoverCommand(), a.versionCommand(), a.workersCommand(), a.masterCommand(), a.devCommand(), a.simCommand(),
		a.tokenCommand(), a.certsCommand(), a.auditCommand(),
		a.jobsCommand(), a.rebalanceCommand(), a.drainCommand(), a.scrubCommand(), a.replicationCommand(), a.tierCommand(), a.quotaCommand(), a.configCommand(), a.explainCommand(), a.licenseCommand(),
		a.backupCommand(), a.restoreCommand(), a.recoverCommand(), a.benchCommand(),
	)
	a.completeValues(root)
	checkTopics(root)
	return root
}

// explainFlag adds to pflag's complaint the flag that was probably meant.
func explainFlag(c *command, err error) error {
	var wrong *pflag.InvalidValueError
	var number *strconv.NumError
	if errors.As(err, &wrong) && errors.As(err, &number) {
		return fmt.Errorf("--%s %q is not a number that fits there", wrong.GetFlag().Name, wrong.GetValue())
	}
	var unknown *pflag.NotExistError
	if errors.As(err, &unknown) && strings.Trim(unknown.GetSpecifiedShortnames(), "0123456789") == "" && unknown.GetSpecifiedShortnames() != "" {
		negative := fmt.Sprintf("%q is less than nothing", "-"+unknown.GetSpecifiedShortnames())
		if c.CommandPath() == "tiercel quota set" {
			return errors.New(negative + "; 'tiercel quota remove TENANT' takes a limit away")
		}
		return errors.New(negative + ", and no flag")
	}
	if !errors.As(err, &unknown) || len(unknown.GetSpecifiedName()) < 2 {
		return err
	}
	var known []string
	c.Flags().VisitAll(func(f *pflag.Flag) { known = append(known, f.Name) })
	if near := config.Nearest(unknown.GetSpecifiedName(), known); near != "" {
		return fmt.Errorf("%w; did you mean --%s?", err, near)
	}
	return err
}

// wantArgs checks the number of arguments; most < 0: any number. names are the
// arguments as the usage line has them.
func wantArgs(least, most int, names string) cobra.PositionalArgs {
	return func(c *command, args []string) error {
		switch {
		case len(args) > max(0, most) && most >= 0 && c.HasAvailableSubCommands() && nearVerb(c, args[0]) != "":
			return fmt.Errorf("unknown command %q for %q; did you mean %s?", args[0], c.CommandPath(), nearVerb(c, args[0]))
		case most == 0 && len(args) > 0 && c.HasAvailableSubCommands():
			return fmt.Errorf("unknown command %q for %q; there are %s", args[0], c.CommandPath(), strings.Join(verbsOf(c), ", "))
		case most == 0 && len(args) > 0:
			return fmt.Errorf("%q is too much: no arguments are taken", args[0])
		case len(args) < least:
			return fmt.Errorf("%s wanted, %s given", names, counted(len(args), "argument"))
		case most >= 0 && len(args) > most:
			return fmt.Errorf("%q is too much: only %s wanted", args[most], names)
		}
		return nil
	}
}

// checkTopics makes help of a verb that is none a wrong usage, as the verb itself is.
func checkTopics(root *command) {
	root.InitDefaultHelpCmd()
	for _, help := range root.Commands() {
		if help.Name() != "help" {
			continue
		}
		help.Run = nil
		help.RunE = func(_ *command, args []string) error {
			topic, rest, err := root.Find(args)
			if err != nil || topic == nil {
				topic, rest = root, args
			}
			if len(rest) == 0 {
				return topic.Help()
			}
			return &usageError{err: noTopic(topic, rest[0]), hint: fmt.Sprintf("See '%s --help'.", topic.CommandPath())}
		}
	}
}

func noTopic(c *command, word string) error {
	near := nearVerb(c, word)
	switch {
	case near != "":
		return fmt.Errorf("there is no verb %q below '%s'; did you mean %s?", word, c.CommandPath(), near)
	case !c.HasAvailableSubCommands():
		return fmt.Errorf("there is no verb %q: '%s' has none below it", word, c.CommandPath())
	}
	return fmt.Errorf("there is no verb %q below '%s'; there are %s", word, c.CommandPath(), strings.Join(verbsOf(c), ", "))
}

// nearVerb is the verb below c that word probably stands for.
func nearVerb(c *command, word string) string { return config.Nearest(word, verbsOf(c)) }

func verbsOf(c *command) (names []string) {
	for _, below := range c.Commands() {
		if below.IsAvailableCommand() {
			names = append(names, below.Name())
		}
	}
	return names
}

func counted(n int, noun string) string {
	if n == 0 {
		return "no " + noun
	}
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// variable is the value of an environment variable, or "".
func (a *app) variable(name string) string {
	for _, pair := range a.environ {
		if value, ok := strings.CutPrefix(pair, name+"="); ok {
			return value
		}
	}
	return ""
}
