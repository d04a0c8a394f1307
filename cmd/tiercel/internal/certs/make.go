package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"regexp"
	"time"

	"tiercel/cluster/model"
)

// NodeURI is the mark of a node's certificate, among its alternative names.
const NodeURI = "tiercel://node"

// Lifetimes in days. A node's is short enough that renewing it stays a habit.
const (
	CADays      = 10 * 365
	NodeDays    = 365
	MaxNodeDays = 825
)

const (
	caName = "ca"
	// skew is by how much the clocks of machines may differ.
	skew     = time.Hour
	maxNames = 64
)

// Pair names the two files of a certificate.
type Pair struct {
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

// PairOf names the files of a certificate in a directory.
func PairOf(dir, name string) Pair {
	return Pair{Cert: filepath.Join(dir, name+".crt"), Key: filepath.Join(dir, name+".key")}
}

// InitCA makes an authority in dir; conflict when there is one.
func InitCA(dir string, now time.Time) (Pair, error) {
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Tiercel cluster authority"}, NotBefore: now.Add(-skew), NotAfter: now.AddDate(0, 0, CADays),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	pair := PairOf(dir, caName)
	return pair, sign(template, template, key, key, pair, false)
}

// Request is what a certificate shall say.
type Request struct {
	Dir     string   // of the authority, and where the new files go
	Name    string   // of its holder, and of the files
	Names   []string // hosts and addresses of a node; none for a client
	Days    int
	Client  bool // for a client of the API: no node takes it for another node's
	Replace bool // renew what is there
}

var fileName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// Issue makes the certificate of a node or a client; conflict when there is one and it
// is not to be replaced.
func Issue(r Request, now time.Time) (Pair, error) {
	template, err := r.template(now)
	if err != nil {
		return Pair{}, err
	}
	ca, caKey, err := loadCA(r.Dir)
	if err != nil {
		return Pair{}, err
	}
	if !now.Before(ca.NotAfter) {
		return Pair{}, model.Errorf(model.CodeConflict, "make a certificate",
			"the authority in %s has expired at %s; make a new one in another directory with 'tiercel certs init-ca'", r.Dir, ca.NotAfter.UTC().Format(time.RFC3339))
	}
	if template.NotAfter.After(ca.NotAfter) {
		template.NotAfter = ca.NotAfter // it would not be believed for longer
	}
	key, err := newKey()
	if err != nil {
		return Pair{}, err
	}
	pair := PairOf(r.Dir, r.Name)
	return pair, sign(template, ca, key, caKey, pair, r.Replace)
}

// template checks the request.
func (r *Request) template(now time.Time) (*x509.Certificate, error) {
	const op = "make a certificate"
	switch {
	case !fileName.MatchString(r.Name) || r.Name == caName:
		return nil, model.Errorf(model.CodeInvalidArgument, op, "the name %q must be 1 to 63 letters, digits, dots, hyphens and underscores, and not %q", r.Name, caName)
	case r.Days < 1 || r.Days > MaxNodeDays:
		return nil, model.Errorf(model.CodeInvalidArgument, op, "it would be valid for %d days; 1 to %d are allowed", r.Days, MaxNodeDays)
	case r.Client && len(r.Names) > 0:
		return nil, model.Errorf(model.CodeInvalidArgument, op, "a client is connected to by nobody; leave host names out")
	case !r.Client && (len(r.Names) == 0 || len(r.Names) > maxNames):
		return nil, model.Errorf(model.CodeInvalidArgument, op, "%d host names and addresses are given; 1 to %d are wanted: those by which clients and other nodes reach this one", len(r.Names), maxNames)
	}
	t := &x509.Certificate{
		Subject: pkix.Name{CommonName: r.Name}, NotBefore: now.Add(-skew), NotAfter: now.AddDate(0, 0, r.Days),
		BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	if r.Client {
		return t, nil
	}
	mark, err := url.Parse(NodeURI)
	if err != nil {
		return nil, err
	}
	t.URIs, t.ExtKeyUsage = []*url.URL{mark}, append(t.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	for _, name := range r.Names {
		switch ip := net.ParseIP(name); {
		case ip != nil && ip.IsUnspecified():
			return nil, model.Errorf(model.CodeInvalidArgument, op, "%q is every address; name the ones by which this node is reached", name)
		case ip != nil:
			t.IPAddresses = append(t.IPAddresses, ip)
		case hostName.MatchString(name):
			t.DNSNames = append(t.DNSNames, name)
		default:
			return nil, model.Errorf(model.CodeInvalidArgument, op, "%q is neither an address nor a host name without a port", name)
		}
	}
	return t, nil
}

// hostName takes DNS names, with a wildcard as the first label if need be.
var hostName = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

func newKey() (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, model.Errorf(model.CodeInternal, "make a certificate", "no key can be made: %w", err)
	}
	return key, nil
}

// sign makes a certificate for key and writes both to the files of pair.
func sign(template, parent *x509.Certificate, key, parentKey *ecdsa.PrivateKey, pair Pair, replace bool) error {
	const op = "make a certificate"
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return model.Errorf(model.CodeInternal, op, "no serial number can be drawn: %w", err)
	}
	template.SerialNumber = serial
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
	if err != nil {
		return model.Errorf(model.CodeInternal, op, "it cannot be signed: %w", err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return model.Errorf(model.CodeInternal, op, "the key cannot be encoded: %w", err)
	}
	return writePair(pair,
		pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), replace)
}
