package certs_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"tiercel/cluster/model"
	"tiercel/cmd/tiercel/internal/certs"
)

var names = []string{"localhost", "127.0.0.1"}

// authority makes one with the certificates of some nodes and returns its directory.
func authority(t *testing.T, nodes ...string) string {
	t.Helper()
	dir := t.TempDir()
	_, err := certs.InitCA(dir, time.Now())
	require.NoError(t, err)
	for _, n := range nodes {
		_, err := certs.Issue(certs.Request{Dir: dir, Name: n, Names: names, Days: 30}, time.Now())
		require.NoError(t, err)
	}
	return dir
}

func filesOf(dir, name string) certs.Files {
	pair := certs.PairOf(dir, name)
	return certs.Files{Cert: pair.Cert, Key: pair.Key, CA: certs.PairOf(dir, "ca").Cert}
}

func open(t *testing.T, files certs.Files) *certs.Live {
	t.Helper()
	live, err := certs.Open(files, time.Now)
	require.NoError(t, err)
	return live
}

// unmarked makes a certificate of an authority that is not a node's, as for a client.
func unmarked(t *testing.T, dir, name string) certs.Files {
	t.Helper()
	files := filesOf(dir, name)
	ca, err := tls.LoadX509KeyPair(files.CA, certs.PairOf(dir, "ca").Key)
	require.NoError(t, err)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"localhost"}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, ca.Leaf, &key.PublicKey, ca.PrivateKey)
	require.NoError(t, err)
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files.Cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	require.NoError(t, os.WriteFile(files.Key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), 0o600))
	return files
}

// shake lets two ends meet and says what each thinks of the other.
func shake(t *testing.T, server, client *tls.Config) (atServer, atClient error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	answered := make(chan error, 1)
	go func() {
		raw, err := listener.Accept()
		if err != nil {
			answered <- err
			return
		}
		defer raw.Close()
		conn := tls.Server(raw, server)
		if err = conn.Handshake(); err == nil {
			_, err = conn.Write([]byte("."))
		}
		answered <- err
	}()
	raw, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer raw.Close()
	conn := tls.Client(raw, client)
	if atClient = conn.Handshake(); atClient == nil {
		// A server of TLS 1.3 says what it thinks of a certificate after the handshake.
		_, atClient = conn.Read(make([]byte, 1))
	}
	raw.Close()
	return <-answered, atClient
}

func named(config *tls.Config) *tls.Config { config.ServerName = "localhost"; return config }

func TestNodes_BothEndsWantACertificateOfANodeOfTheirAuthority(t *testing.T) {
	ours, theirs := authority(t, "n-1", "n-2"), authority(t, "n-1")
	first, second, foreign := open(t, filesOf(ours, "n-1")).Nodes(), open(t, filesOf(ours, "n-2")).Nodes(), open(t, filesOf(theirs, "n-1")).Nodes()
	client := unmarked(t, ours, "client")
	pair, err := tls.LoadX509KeyPair(client.Cert, client.Key)
	require.NoError(t, err)
	asClient := func() *tls.Config { // of our authority, trusts us, and is no node
		c := first()
		c.Certificates, c.VerifyConnection = []tls.Certificate{pair}, nil
		return c
	}
	bare := func() *tls.Config { c := first(); c.Certificates = nil; return c }
	trusting := func() *tls.Config { c := foreign(); c.InsecureSkipVerify = true; c.VerifyConnection = nil; return c }
	for _, c := range []struct {
		name               string
		server, client     func() *tls.Config
		serverSay, peerSay string // empty: it is content
	}{
		{"two nodes", first, second, "", ""},
		{"a node with itself", first, first, "", ""},
		{"no certificate", first, bare, "didn't provide a certificate", "certificate required"},
		{"of another authority", first, trusting, "unknown authority", "unknown certificate authority"},
		{"a server of another authority", foreign, first, "bad certificate", "unknown authority"},
		{"of ours, but no node", first, asClient, "not the certificate of a node", "bad certificate"},
		{"a server of ours that is no node", func() *tls.Config { c := asClient(); c.ClientAuth = tls.NoClientCert; return c }, first, "bad certificate", "not the certificate of a node"},
	} {
		t.Run(c.name, func(t *testing.T) {
			atServer, atClient := shake(t, c.server(), named(c.client()))
			for _, end := range []struct {
				says string
				err  error
			}{{c.serverSay, atServer}, {c.peerSay, atClient}} {
				if end.says == "" {
					assert.NoError(t, end.err)
				} else {
					assert.ErrorContains(t, end.err, end.says)
				}
			}
		})
	}
	_, err = shake(t, first(), func() *tls.Config { c := second(); c.ServerName = "elsewhere.example"; return c }())
	assert.ErrorContains(t, err, "elsewhere.example", "a node is who it was called")
	old := second()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	_, err = shake(t, first(), named(old))
	assert.ErrorContains(t, err, "protocol version")
}

func TestHTTP_SpeaksCurrentTLSOnly(t *testing.T) {
	dir := authority(t, "n-1")
	config := open(t, filesOf(dir, "n-1")).HTTP()
	roots, err := certs.Authorities(filesOf(dir, "n-1").CA)
	require.NoError(t, err)
	for _, c := range []struct {
		name   string
		client *tls.Config
		ok     bool
	}{
		{"1.3", &tls.Config{MinVersion: tls.VersionTLS13}, true},
		{"1.2", &tls.Config{MaxVersion: tls.VersionTLS12}, true},
		{"1.1", &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}, false},
		{"1.2 without authenticated encryption", &tls.Config{MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA}}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.client.RootCAs, c.client.ServerName = roots, "localhost"
			_, err := shake(t, config, c.client)
			assert.Equal(t, c.ok, err == nil, "%v", err)
		})
	}
}

func TestHTTP_ClientsShowACertificateWhereThatIsAskedFor(t *testing.T) {
	dir, other := authority(t, "n-1"), authority(t)
	issue := func(dir string) tls.Certificate {
		pair, err := certs.Issue(certs.Request{Dir: dir, Name: "laptop", Days: 30, Client: true}, time.Now())
		require.NoError(t, err)
		cert, err := certs.ReadPair(pair)
		require.NoError(t, err)
		return *cert
	}
	ours, theirs := issue(dir), issue(other)
	assert.Empty(t, ours.Leaf.URIs, "it is no node's")
	assert.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, ours.Leaf.ExtKeyUsage)
	files := filesOf(dir, "n-1")
	roots, err := certs.Authorities(files.CA)
	require.NoError(t, err)
	files.Clients = true
	server := open(t, files).HTTP()
	for name, c := range map[string]struct {
		shows []tls.Certificate
		ok    bool
	}{"none": {nil, false}, "ours": {[]tls.Certificate{ours}, true}, "theirs": {[]tls.Certificate{theirs}, false}} {
		atServer, _ := shake(t, server, &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: c.shows, MinVersion: tls.VersionTLS12})
		assert.Equal(t, c.ok, atServer == nil, "%s: %v", name, atServer)
	}
	_, err = certs.Issue(certs.Request{Dir: dir, Name: "x", Names: names, Days: 30, Client: true}, time.Now())
	assert.ErrorContains(t, err, "leave host names out")
}

func TestLive_ReplacedFilesCountAndBadOnesDoNot(t *testing.T) {
	dir := authority(t, "n-1")
	files := filesOf(dir, "n-1")
	live := open(t, files)
	serial := func() string { return live.Nodes()().Certificates[0].Leaf.SerialNumber.String() }
	http := live.HTTP()
	served := func() string {
		cert, err := http.GetCertificate(nil)
		require.NoError(t, err)
		return cert.Leaf.SerialNumber.String()
	}
	first := serial()
	assert.Equal(t, first, served())
	_, err := certs.Issue(certs.Request{Dir: dir, Name: "n-1", Names: names, Days: 30, Replace: true}, time.Now())
	require.NoError(t, err)
	require.NoError(t, live.Reload())
	second := serial()
	assert.NotEqual(t, first, second)
	assert.Equal(t, second, served())
	assert.Empty(t, live.Warnings())

	other := authority(t, "n-1")
	key, err := os.ReadFile(certs.PairOf(other, "n-1").Key)
	require.NoError(t, err)
	good, err := os.ReadFile(files.Key)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(files.Key, key, 0o600))
	require.Error(t, live.Reload(), "a key of another certificate")
	assert.Equal(t, second, serial())
	require.Len(t, live.Warnings(), 1)
	assert.Contains(t, live.Warnings()[0], "read before are in force")
	require.NoError(t, os.WriteFile(files.Key, good, 0o600))
	require.NoError(t, live.Reload())
	assert.Empty(t, live.Warnings())
}

func TestOpen_RefusesWhatOtherNodesWouldRefuse(t *testing.T) {
	dir, other := authority(t, "n-1"), authority(t, "n-1")
	files := filesOf(dir, "n-1")
	for _, c := range []struct {
		name  string
		files certs.Files
		at    time.Time
		says  []string
	}{
		{"nothing there", certs.Files{Cert: "gone.crt", Key: "gone.key", CA: "gone.ca"}, time.Now(), []string{"tls-cert gone.crt", "tls-ca gone.ca"}},
		{"another authority", certs.Files{Cert: files.Cert, Key: files.Key, CA: filesOf(other, "n-1").CA}, time.Now(), []string{"other nodes would refuse it"}},
		{"no node's", unmarked(t, dir, "client"), time.Now(), []string{"not the certificate of a node"}},
		{"another key", certs.Files{Cert: files.Cert, Key: filesOf(other, "n-1").Key, CA: files.CA}, time.Now(), []string{"private key does not match"}},
		{"a key as authority", certs.Files{Cert: files.Cert, Key: files.Key, CA: files.Key}, time.Now(), []string{"holds no certificate"}},
		{"expired", files, time.Now().AddDate(0, 0, 31), []string{"make another one"}},
		{"not yet valid", files, time.Now().Add(-2 * time.Hour), []string{"set the clock"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := certs.Open(c.files, func() time.Time { return c.at })
			for _, say := range c.says {
				assert.ErrorContains(t, err, say)
			}
		})
	}
	live, err := certs.Open(files, func() time.Time { return time.Now().AddDate(0, 0, 20) })
	require.NoError(t, err)
	require.Len(t, live.Warnings(), 1)
	assert.Contains(t, live.Warnings()[0], "expires at")
	alone, err := certs.Open(certs.Files{Cert: files.Cert, Key: files.Key}, time.Now)
	require.NoError(t, err, "for HTTP alone")
	assert.Nil(t, alone.Nodes())
}

func TestIssue_GivesTheNamesTheMarkAndNoMoreThanTheAuthorityHas(t *testing.T) {
	dir := t.TempDir()
	_, err := certs.InitCA(dir, time.Now().AddDate(0, 0, 10-certs.CADays))
	require.NoError(t, err)
	pair, err := certs.Issue(certs.Request{Dir: dir, Name: "n-1", Names: []string{"a.example", "*.b.example", "10.0.0.1", "::1"}, Days: 365}, time.Now())
	require.NoError(t, err)
	loaded, err := tls.LoadX509KeyPair(pair.Cert, pair.Key)
	require.NoError(t, err)
	leaf := loaded.Leaf
	assert.Equal(t, []string{"a.example", "*.b.example"}, leaf.DNSNames)
	require.Len(t, leaf.IPAddresses, 2)
	assert.False(t, leaf.IsCA)
	assert.WithinDuration(t, time.Now().AddDate(0, 0, 10), leaf.NotAfter, time.Hour*24, "not longer than its authority")
	require.Len(t, leaf.URIs, 1)
	assert.Equal(t, certs.NodeURI, leaf.URIs[0].String())
	info, err := os.Stat(pair.Key)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	for _, r := range []certs.Request{
		{Name: "", Names: names, Days: 1}, {Name: "../x", Names: names, Days: 1}, {Name: "ca", Names: names, Days: 1},
		{Name: "a", Days: 1}, {Name: "a", Names: []string{"0.0.0.0"}, Days: 1}, {Name: "a", Names: []string{"host:80"}, Days: 1}, {Name: "a", Names: names},
	} {
		r.Dir = dir
		_, err := certs.Issue(r, time.Now())
		assert.Equal(t, model.CodeInvalidArgument, model.CodeOf(err), "%+v", r)
	}
	_, err = certs.Issue(certs.Request{Dir: dir, Name: "late", Names: names, Days: 1}, time.Now().AddDate(0, 0, 11))
	assert.ErrorContains(t, err, "has expired")
	require.NoError(t, os.Remove(filepath.Join(dir, "ca.key")))
	_, err = certs.Issue(certs.Request{Dir: dir, Name: "b", Names: names, Days: 1}, time.Now())
	assert.ErrorContains(t, err, "ca.key")
}

func TestLive_WarnsOfAKeyThatAnybodyCanRead(t *testing.T) {
	files := filesOf(authority(t, "n-1"), "n-1")
	live := open(t, files)
	assert.Empty(t, live.Warnings())
	require.NoError(t, os.Chmod(files.Key, 0o644))
	require.Len(t, live.Warnings(), 1)
	assert.Contains(t, live.Warnings()[0], "chmod o-r")
	require.NoError(t, os.Chmod(files.Key, 0o640))
	assert.Empty(t, live.Warnings(), "a group of its own is the operator's choice")
}
