package discovery

import (
	"net/http"

	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/k8s"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"

	"tiercel/cluster/model"
)

// kubernetes labels the own pod and watches for pods of the same label. The service
// account needs get, patch and watch on pods of its namespace.
func (f *Finder) kubernetes() (cluster.ClusterProvider, string, error) {
	klog.SetSlogLogger(f.quiet())
	conf := rest.CopyConfig(f.cfg.API)
	conf.Wrap(func(base http.RoundTripper) http.RoundTripper { return &patient{finder: f, base: base} })
	provider, err := k8s.NewWithConfig(conf)
	if err != nil {
		return nil, "", model.Errorf(model.CodeInvalidArgument, "discovery", "the Kubernetes API cannot be asked: %w", err)
	}
	return provider, f.cfg.Name, nil
}

func (f *Finder) kubernetesConfig() (*rest.Config, error) {
	if f.cfg.API != nil {
		return f.cfg.API, nil
	}
	conf, err := rest.InClusterConfig()
	if err != nil {
		return nil, model.Errorf(model.CodeInvalidArgument, "discovery", "this process does not run in a pod with a service account: %w", err)
	}
	return conf, nil
}
