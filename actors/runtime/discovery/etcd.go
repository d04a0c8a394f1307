package discovery

import (
	"crypto/tls"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/etcd"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"

	"tiercel/cluster/model"
)

// etcdDialTime bounds one try to reach a server.
const etcdDialTime = 5 * time.Second

// etcd keeps the addresses below /tiercel/<name>/nodes, each under a lease of three
// seconds. The name comes before the last part because the provider asks by prefix:
// otherwise "ml" would find the nodes of "ml-test".
func (f *Finder) etcd() (cluster.ClusterProvider, string, error) {
	conf, err := f.etcdConfig()
	if err != nil {
		return nil, "", err
	}
	provider, err := etcd.NewWithConfig("/tiercel/"+f.cfg.Name, conf)
	if err != nil {
		return nil, "", f.unanswered(err)
	}
	return provider, "nodes", nil
}

func (f *Finder) etcdConfig() (clientv3.Config, error) {
	conf := clientv3.Config{
		Endpoints: f.cfg.Address, DialTimeout: etcdDialTime, DialKeepAliveTime: etcdDialTime, DialKeepAliveTimeout: etcdDialTime,
		Logger: zap.NewNop(),
	}
	if len(conf.Endpoints) == 0 {
		conf.Endpoints = []string{"127.0.0.1:2379"}
	}
	conf.Username, conf.Password, _ = strings.Cut(os.Getenv("ETCDCTL_USER"), ":")
	if password := os.Getenv("ETCDCTL_PASSWORD"); password != "" {
		conf.Password = password
	}
	var err error
	if conf.TLS, err = etcdTLS(conf.Endpoints); err != nil {
		return conf, model.Errorf(model.CodeInvalidArgument, "discovery", "ETCDCTL_CACERT, ETCDCTL_CERT or ETCDCTL_KEY cannot be used: %w", err)
	}
	return conf, nil
}

// etcdTLS is nil when nothing asks for TLS.
func etcdTLS(endpoints []string) (*tls.Config, error) {
	info := transport.TLSInfo{TrustedCAFile: os.Getenv("ETCDCTL_CACERT"), CertFile: os.Getenv("ETCDCTL_CERT"), KeyFile: os.Getenv("ETCDCTL_KEY")}
	secure := slices.ContainsFunc(endpoints, func(e string) bool { return strings.HasPrefix(e, "https://") })
	if info.Empty() && info.TrustedCAFile == "" && !secure {
		return nil, nil
	}
	return info.ClientConfig()
}
