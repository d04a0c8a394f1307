package main

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"time"

	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
	"tiercel/cluster/model"
)

// issuing is what 'license issue' was told.
type issuing struct {
	licence        signed.Licence
	level, keyFile string
	from, end      string
	valid          time.Duration
}

func (a *app) issueLicenseCommand() *command {
	var i issuing
	cmd := &command{
		Use:   "issue --level LEVEL",
		Short: "Sign a licence and print it",
		Long: `Signs with --key, a private key that 'tiercel license keygen' made, or without it with
the development key that everybody has. It speaks to no server. The licence goes to
standard output; from when and through when it is valid is said on standard error.

A licence is over at the moment that its text names as 'expires'. --expires with a time
such as 2027-01-31T12:00:00Z is that moment. --expires with a date such as 2027-01-31 is
the last day: it is valid through 2027-01-31T23:59:59Z and over at 2027-02-01T00:00:00Z.
Days are those of UTC.`,
		Example: `  tiercel license issue --level enterprise > license.txt
  tiercel license issue --level standard --valid-for 1h
  tiercel license issue --level professional --customer "Example GmbH" --id 2026-0042 --expires 2027-12-31 --key release.key`,
		Args: wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			text, err := i.sign(time.Now(), c.Flags().Changed("valid-for"))
			if err != nil {
				return err
			}
			l := &i.licence
			fmt.Fprintf(a.stderr, "the licence %s (%s) is valid from %s through %s\n", l.ID, l.Level, l.Issued.Format(time.RFC3339), lastMoment(l.Expires))
			_, err = io.WriteString(a.stdout, text)
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&i.level, "level", "", "`LEVEL`, which must be given: "+levelList("or"))
	flags.StringVar(&i.licence.Customer, "customer", "nobody: for development only", "`NAME` of whoever may use it")
	flags.StringVar(&i.licence.ID, "id", "", "`ID` of the licence (default: a new one)")
	flags.StringVar(&i.from, "valid-from", "", "`TIME` from which on it is valid, or DATE: its first moment in UTC (default: now); a licence counts as newer than those of an earlier one")
	flags.DurationVar(&i.valid, "valid-for", 365*24*time.Hour, "`DURATION` for which it is valid, such as 720h")
	flags.StringVar(&i.end, "expires", "", "`TIME` at which it is over, or DATE: the last day, through its last second in UTC; instead of --valid-for")
	flags.Uint64Var(&i.licence.MaxWorkers, "max-workers", 0, "at most so many data workers, `N`, below what the level has")
	flags.StringVar(&i.licence.Cluster, "cluster", "", "`ID` of the only cluster that may use it")
	flags.StringVar(&i.keyFile, "key", "", "`FILE` with the private key (default: the development key)")
	return cmd
}

// sign fills the licence in and signs it.
func (i *issuing) sign(now time.Time, validGiven bool) (string, error) {
	l := &i.licence
	switch {
	case i.level == "":
		return "", &usageError{err: fmt.Errorf("--level LEVEL is missing: %s", levelList("or"))}
	case i.end != "" && validGiven:
		return "", &usageError{err: errors.New("--expires and --valid-for both say when it is over; give one of them")}
	}
	var err error
	l.Level, l.Issued = license.Level(i.level), now
	if i.from != "" {
		if l.Issued, err = readMoment("--valid-from", i.from, 0); err != nil {
			return "", err
		}
	}
	l.Issued = l.Issued.UTC().Truncate(time.Second)
	l.Expires = l.Issued.Add(i.valid)
	if i.end != "" {
		if l.Expires, err = readMoment("--expires", i.end, 1); err != nil {
			return "", err
		}
	}
	l.Expires = l.Expires.UTC().Truncate(time.Second)
	if most := license.Of(l.Facts()).MaxWorkers(); l.MaxWorkers > 0 && most != l.MaxWorkers {
		return "", &usageError{err: fmt.Errorf("--max-workers %d is not below what the level %s has", l.MaxWorkers, i.level)}
	}
	key := signed.DevelopmentKey()
	if i.keyFile != "" {
		if key, err = readPrivateKey(i.keyFile); err != nil {
			return "", err
		}
	}
	if l.ID == "" {
		l.ID = newLicenseID(i.level)
	}
	text, err := signed.Issue(*l, key)
	if err != nil {
		return "", &usageError{err: errors.New(unsigned(err))}
	}
	return text, nil
}

// unsigned is why a licence was not issued: the rules are those of a check, but nobody
// has asked for one here.
func unsigned(err error) string {
	var e *model.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

// readMoment reads a time, or a day of UTC: its first moment so many days later.
func readMoment(flag, text string, days int) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day.AddDate(0, 0, days), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, &usageError{err: fmt.Errorf("%s %q is not a time such as 2027-12-31T00:00:00Z, nor a date such as 2027-12-31", flag, text)}
	}
	return t, nil
}

// lastMoment is the last second at which a licence is valid that is over at a moment.
func lastMoment(expires time.Time) string {
	return expires.Add(-time.Second).UTC().Format(time.RFC3339)
}

// levelList are the levels for people: a, b or c.
func levelList(conjunction string) string {
	list := ""
	for i, l := range license.Levels {
		switch {
		case i > 0 && i == len(license.Levels)-1:
			list += " " + conjunction + " "
		case i > 0:
			list += ", "
		}
		list += string(l)
	}
	return list
}

func newLicenseID(level string) string {
	var b [6]byte
	_, _ = rand.Read(b[:]) // it never fails
	return level + "-" + hex.EncodeToString(b[:])
}
