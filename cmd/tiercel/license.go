package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"tiercel/cluster/license"
	"tiercel/cluster/license/signed"
	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/internal/version"
)

func (a *app) licenseCommand() *command {
	cmd := &command{
		Use:   "license",
		Short: "Show and install the licence of the cluster; make and check licences",
		Long: `A licence is a short signed text. It is checked offline, against the public key that
the program was built with (make build LICENSE_KEY=…). A program that was built
without one takes development licences, which anybody can issue, and no others; so
every level can be tried:

` + license.Markdown() + `
When a licence ends the cluster works at the level free. What is there stays: reads,
deletes, repair, drain and all workers go on.`,
		Example: `  tiercel license issue --level professional > license.txt
  tiercel license verify license.txt
  tiercel license install license.txt
  tiercel license show`,
		RunE: func(c *command, _ []string) error {
			return &usageError{err: errors.New("what to do is missing: issue, verify, show, install or keygen"), hint: c.UsageString()}
		},
	}
	cmd.AddCommand(a.issueLicenseCommand(), a.verifyLicenseCommand(), a.showLicenseCommand(), a.installLicenseCommand(), a.keygenCommand())
	return cmd
}

func (a *app) verifyLicenseCommand() *command {
	var output string
	cmd := &command{
		Use:     "verify FILE",
		Short:   "Check a licence without a server",
		Long:    "Checks the signature against the key of this program, and whether it is valid now. FILE - is standard input.",
		Example: "  tiercel license verify license.txt",
		Args:    wantArgs(1, 1, "one FILE"),
		RunE: func(_ *command, args []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			text, err := a.readLicense(args[0])
			if err != nil {
				return err
			}
			keys, err := signed.KeysOf(version.LicenseKey)
			if err != nil {
				return err
			}
			l, err := keys.Verify(text)
			if err != nil {
				return err
			}
			now := time.Now()
			if err := l.Judge(now, ""); err != nil {
				return err
			}
			info := license.Describe(l.Facts(), 0, now)
			doc := licenseDoc{
				Level: info.Level, State: info.State, ID: l.ID, Customer: l.Customer, IssuedAt: l.Issued.Format(time.RFC3339), ExpiresAt: l.Expires.Format(time.RFC3339),
				Development: l.Development, Key: l.Key, Cluster: l.Cluster, Warnings: append([]string{}, info.Warnings...),
			}
			if info.MaxWorkers > 0 {
				doc.MaxWorkers = &info.MaxWorkers
			}
			if output == "json" {
				return a.printJSON(doc)
			}
			_, err = io.WriteString(a.stdout, doc.table())
			return err
		},
	}
	addOutput(cmd.Flags(), &output)
	return cmd
}

func (a *app) showLicenseCommand() *command {
	var r remote
	cmd := &command{
		Use:     "show",
		Short:   "Show the licence of the cluster and what it allows",
		Long:    "Shows level, end and limits of the licence in force, the features it has, and what is near its limit.",
		Example: "  tiercel license show\n  tiercel license show --output json | jq .features",
		Args:    wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) { return conn.License(c.Context()) })
			return a.printLicense(&r, answer, err)
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

func (a *app) installLicenseCommand() *command {
	var r remote
	cmd := &command{
		Use:   "install FILE",
		Short: "Install a licence in the cluster",
		Long: `The master verifies it, and from then on the whole cluster goes by it. One of a lower
level may be installed too: what is there already stays. FILE - is standard input.`,
		Example: "  tiercel license install license.txt\n  tiercel license issue --level standard | tiercel license install -",
		Args:    wantArgs(1, 1, "one FILE"),
		RunE: func(c *command, args []string) error {
			text, err := a.readLicense(args[0])
			if err != nil {
				return err
			}
			answer, err := a.fetch(c, &r, func(conn *client.Client) (json.RawMessage, error) {
				return conn.InstallLicense(c.Context(), []byte(text))
			})
			return a.printLicense(&r, answer, err)
		},
	}
	r.addTo(cmd.Flags())
	return cmd
}

func (a *app) keygenCommand() *command {
	var out string
	cmd := &command{
		Use:   "keygen --out FILE",
		Short: "Make a key pair for signing licences",
		Long: `Writes the private key to FILE, which must not exist, and prints the public key: build
with make build LICENSE_KEY=<public key>, and sign with 'tiercel license issue --key FILE'.`,
		Example: "  tiercel license keygen --out release.key",
		Args:    wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			if out == "" {
				return &usageError{err: errors.New("--out FILE is missing")}
			}
			public, private, err := ed25519.GenerateKey(rand.Reader)
			if err != nil {
				return err
			}
			der, err := x509.MarshalPKCS8PrivateKey(private)
			if err != nil {
				return err
			}
			f, err := os.OpenFile(out, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
			if err != nil {
				return model.Errorf(model.CodeConflict, "make a key pair", "%s cannot be made: %w", out, err)
			}
			if err := errors.Join(pem.Encode(f, &pem.Block{Type: pemPrivate, Bytes: der}), f.Sync(), f.Close()); err != nil {
				return model.Errorf(model.CodeUnavailable, "make a key pair", "%s cannot be written: %w", out, err)
			}
			_, err = fmt.Fprintln(a.stdout, base64.StdEncoding.EncodeToString(public))
			return err
		},
	}
	cmd.Flags().StringVar(&out, "out", "", "`FILE` for the private key")
	return cmd
}

const (
	pemPrivate  = "PRIVATE KEY"
	maxKeyBytes = 16 << 10
)

func readPrivateKey(file string) (ed25519.PrivateKey, error) {
	const op = "read the private key"
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, model.Errorf(model.CodeInvalidArgument, op, "--key %s cannot be read: %w", file, err)
	}
	if block, _ := pem.Decode(text); block != nil && block.Type == pemPrivate && len(text) <= maxKeyBytes {
		if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
			if own, ok := key.(ed25519.PrivateKey); ok {
				return own, nil
			}
		}
	}
	return nil, model.Errorf(model.CodeInvalidArgument, op, "--key %s holds no Ed25519 private key in PEM; 'tiercel license keygen' makes one", file)
}

// readLicense reads a licence from a file, or from standard input for -.
func (a *app) readLicense(file string) (string, error) {
	in := a.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return "", model.Errorf(model.CodeInvalidArgument, "read the licence", "%s cannot be read: %w", file, err)
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	text, err := io.ReadAll(io.LimitReader(in, signed.MaxTextBytes+1))
	if err != nil {
		return "", model.Errorf(model.CodeInvalidArgument, "read the licence", "%s cannot be read: %w", file, err)
	}
	if len(text) > signed.MaxTextBytes {
		has := fmt.Sprintf("more than %d bytes", signed.MaxTextBytes)
		if info, err := os.Stat(file); err == nil && file != "-" {
			has = fmt.Sprintf("%d bytes", info.Size())
		}
		return "", model.Errorf(model.CodeInvalidArgument, "read the licence", "%s has %s; a licence has at most %d", file, has, signed.MaxTextBytes)
	}
	return string(text), nil
}

// developmentText is the licence of a local cluster: that of a file, or a development
// licence of a level.
func developmentText(level, file string) (string, error) {
	keys, err := signed.KeysOf(version.LicenseKey)
	switch {
	case err != nil:
		return "", err
	case file != "":
		text, err := os.ReadFile(file)
		if err != nil {
			return "", model.Errorf(model.CodeInvalidArgument, "read the licence", "--license %s cannot be read: %w", file, err)
		}
		_, err = keys.Verify(string(text))
		return string(text), err
	case !license.Level(level).Known():
		return "", &usageError{err: fmt.Errorf("--license-level %q is none of %s", level, levelList("and"))}
	case !keys.Development():
		return "", &usageError{err: errors.New("this program was built with a release key and takes no development licences; name a licence with --license FILE")}
	}
	return signed.Develop(license.Level(level), time.Now())
}
