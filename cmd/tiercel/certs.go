package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/certs"
	"tiercel/cmd/tiercel/internal/client"
)

const defaultCertsDir = "./tiercel-certs"

func (a *app) certsCommand() *command {
	cmd := &command{
		Use:   "certs",
		Short: "Make the certificates by which nodes and clients know a cluster",
		Long: `Makes an authority for one cluster and a certificate for each of its nodes. Keep
ca.key where certificates are made, and nowhere else. A node gets ca.crt and its own
two files; clients get ca.crt.

Nodes accept each other only with such a certificate: one of the authority that is
marked as a node's. Made by another tool, it needs the alternative name
URI:` + certs.NodeURI + ` and both extended key usages, server and client.`,
		Example: `  tiercel certs init-ca
  tiercel certs node node-1 --names node-1.example,10.0.0.11
  tiercel server --tls-ca tiercel-certs/ca.crt --tls-cert tiercel-certs/node-1.crt --tls-key tiercel-certs/node-1.key
  tiercel status --server https://node-1.example:8880 --tls-ca tiercel-certs/ca.crt`,
		Args: wantArgs(0, 0, ""),
		RunE: func(c *command, _ []string) error {
			return &usageError{err: errors.New("a verb is missing"), hint: c.UsageString()}
		},
	}
	cmd.AddCommand(a.initCACommand(), a.nodeCertCommand(), a.clientCertCommand())
	return cmd
}

func (a *app) initCACommand() *command {
	var dir, output string
	cmd := &command{
		Use:   "init-ca",
		Short: "Make the authority of a cluster: ca.crt and ca.key",
		Long: `Makes the key and the certificate of an authority in --dir, which is made if it is not
there, and prints the names of the two files. Files that are there are not overwritten.`,
		Example: "  tiercel certs init-ca\n  tiercel certs init-ca --dir /secure/tiercel-certs",
		Args:    wantArgs(0, 0, ""),
		RunE: func(*command, []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			pair, err := certs.InitCA(dir, time.Now())
			if err != nil {
				return err
			}
			return a.printPair(pair, output)
		},
	}
	cmd.Flags().StringVar(&dir, "dir", defaultCertsDir, "`DIR` for the files")
	addOutput(cmd.Flags(), &output)
	return cmd
}

func (a *app) nodeCertCommand() *command {
	var (
		r             certs.Request
		names, output string
	)
	cmd := &command{
		Use:   "node NAME",
		Short: "Make the certificate of a node: NAME.crt and NAME.key",
		Long: `Makes a certificate for a node, signed by the authority in --dir. --names are the host
names and addresses by which clients and other nodes reach it; who connects by
another one refuses it. What is there is not overwritten; --replace renews it, and a
server that uses the files sees that within seconds, without a restart.`,
		Example: `  tiercel certs node node-1 --names node-1.example,10.0.0.11,127.0.0.1
  tiercel certs node node-1 --names node-1.example,10.0.0.11,127.0.0.1 --replace`,
		Args: wantArgs(1, 1, "one NAME"),
		RunE: func(_ *command, args []string) error {
			r.Name = args[0]
			for name := range strings.SplitSeq(names, ",") {
				if name = strings.TrimSpace(name); name != "" {
					r.Names = append(r.Names, name)
				}
			}
			return a.issueCertificate(r, output)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Dir, "dir", defaultCertsDir, "`DIR` of the authority, and for the files")
	flags.StringVar(&names, "names", "localhost,127.0.0.1,::1", "`HOST,…` by which the node is reached, without ports")
	flags.IntVar(&r.Days, "days", certs.NodeDays, fmt.Sprintf("valid for so many days, `N` up to %d", certs.MaxNodeDays))
	flags.BoolVar(&r.Replace, "replace", false, "renew a certificate that is there")
	addOutput(flags, &output)
	return cmd
}

func (a *app) clientCertCommand() *command {
	r, output := certs.Request{Client: true}, ""
	cmd := &command{
		Use:   "client NAME",
		Short: "Make a certificate for clients of the API: NAME.crt and NAME.key",
		Long: `Makes a certificate that a client shows to a server which asks for one, by
'tiercel server --tls-client-auth require'. It lets in nobody by itself: who its holder
is, and what they may do, is for the token to say. Nodes do not take it for a node's.`,
		Example: `  tiercel certs client laptop
  tiercel status --server https://node-1.example:8880 --tls-ca ca.crt --tls-cert laptop.crt --tls-key laptop.key`,
		Args: wantArgs(1, 1, "one NAME"),
		RunE: func(_ *command, args []string) error {
			r.Name = args[0]
			return a.issueCertificate(r, output)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&r.Dir, "dir", defaultCertsDir, "`DIR` of the authority, and for the files")
	flags.IntVar(&r.Days, "days", certs.NodeDays, fmt.Sprintf("valid for so many days, `N` up to %d", certs.MaxNodeDays))
	flags.BoolVar(&r.Replace, "replace", false, "renew a certificate that is there")
	addOutput(flags, &output)
	return cmd
}

func (a *app) issueCertificate(r certs.Request, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	pair, err := certs.Issue(r, time.Now())
	if model.CodeOf(err) == model.CodeInvalidArgument {
		return &usageError{err: errors.New(client.Message(err))}
	}
	if err != nil {
		return err
	}
	return a.printPair(pair, output)
}

func (a *app) printPair(pair certs.Pair, output string) error {
	if output == "json" {
		return a.printJSON(map[string]any{"cert": pair.Cert, "key": pair.Key})
	}
	_, err := fmt.Fprintf(a.stdout, "%s\n%s\n", pair.Cert, pair.Key)
	return err
}
