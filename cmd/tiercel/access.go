package main

import (
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"tiercel/cmd/tiercel/internal/certs"
	"tiercel/cmd/tiercel/internal/client"
	"tiercel/cmd/tiercel/internal/config"
)

// clientAccess is how a verb is let in by a server, and whom it takes for one.
type clientAccess struct{ token, authority, cert, key string }

func (r *clientAccess) addTo(flags *pflag.FlagSet) {
	flags.StringVar(&r.token, "token", "", "bearer `TOKEN` to be let in with; better in TIERCEL_TOKEN, which other users of the machine do not see")
	flags.StringVar(&r.authority, "tls-ca", "", "`FILE` with the authority of the server's certificate, PEM (default: the system's); also TIERCEL_TLS_CA")
	flags.StringVar(&r.cert, "tls-cert", "", "`FILE` with a certificate to show to a server that asks for one, PEM; also TIERCEL_TLS_CERT")
	flags.StringVar(&r.key, "tls-key", "", "`FILE` with the key of --tls-cert, PEM; also TIERCEL_TLS_KEY")
}

// fromEnvironment fills in flags that were not given from TIERCEL_<FLAG>.
func (a *app) fromEnvironment(c *command, flags map[string]*string) {
	for flag, value := range flags {
		if env := a.variable(config.EnvName(flag)); env != "" && !c.Flags().Changed(flag) {
			*value = env
		}
	}
}

// readAccess reads the files that are named.
func (a *app) readAccess(c *command, r *clientAccess, o *client.Options) (err error) {
	a.fromEnvironment(c, map[string]*string{"token": &r.token, "tls-ca": &r.authority, "tls-cert": &r.cert, "tls-key": &r.key})
	o.Token = r.token
	if r.authority != "" {
		if o.Authorities, err = certs.Authorities(r.authority); err != nil {
			return &usageError{err: fmt.Errorf("--tls-ca: %s", client.Message(err))}
		}
	}
	if (r.cert == "") != (r.key == "") {
		return &usageError{err: errors.New("--tls-cert and --tls-key: give both or none")}
	}
	if r.cert != "" {
		if o.Certificate, err = certs.ReadPair(certs.Pair{Cert: r.cert, Key: r.key}); err != nil {
			return &usageError{err: fmt.Errorf("--tls-cert and --tls-key: %s", client.Message(err))}
		}
	}
	return nil
}
