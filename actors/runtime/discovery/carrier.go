package discovery

import (
	"log/slog"
	"net"
	"slices"
	"strconv"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/remote"

	"tiercel/cluster/model"
)

// carrier is what a provider needs around it: an actor system that bears the node's
// address and hosts nothing else, and a cluster that is never started.
type carrier struct {
	provider cluster.ClusterProvider
	cluster  *cluster.Cluster
	started  chan bool     // holds one: the provider has started, or failed to
	ended    chan struct{} // closed when it has been shut down
}

// carry makes a carrier; found hears the addresses of everybody but address itself.
func (f *Finder) carry(address string, found func([]string)) (*carrier, error) {
	provider, name, err := f.provider()
	if err != nil {
		return nil, err
	}
	host, portText, err := net.SplitHostPort(address)
	port, portErr := strconv.Atoi(portText)
	if err != nil || portErr != nil {
		return nil, model.Errorf(model.CodeInvalidArgument, "discovery", "%q is not host:port", address)
	}
	system := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return f.quiet() }))
	system.ProcessRegistry.Address = address
	conf := remote.Configure(host, port)
	c := cluster.New(system, cluster.Configure(name, provider, nil, conf))
	c.Remote = remote.NewRemote(system, conf)
	system.EventStream.Subscribe(func(event any) {
		topology, ok := event.(*cluster.ClusterTopology)
		if !ok {
			return
		}
		if len(topology.Left) > 0 {
			// protoactor never takes back whoever has left. Here a registration that ran
			// out, in an outage of the service say, may well return.
			c.Remote = remote.NewRemote(system, conf)
		}
		found(addressesOf(topology.Members, address))
	})
	return &carrier{provider: provider, cluster: c, started: make(chan bool, 1), ended: make(chan struct{})}, nil
}

// provider makes that of the service, and says by which name it knows the cluster.
func (f *Finder) provider() (cluster.ClusterProvider, string, error) {
	switch f.cfg.Kind {
	case Etcd:
		return f.etcd()
	case Consul:
		return f.consul()
	default:
		return f.kubernetes()
	}
}

// addressesOf are the members' addresses but own, in order, each once. What others
// have written into the service is not trusted: what is no address is left out.
func addressesOf(members []*cluster.Member, own string) []string {
	var out []string
	for _, m := range members {
		address := net.JoinHostPort(m.Host, strconv.Itoa(int(m.Port)))
		if m.Host != "" && len(m.Host) <= 253 && m.Port > 0 && m.Port <= 65535 && address != own {
			out = append(out, address)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
