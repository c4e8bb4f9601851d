package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"

	"github.com/rutter-gateway/rutter/conformance/internal/endpoints"
)

// Config says what the proxy reads, and from where it gives out addresses.
type Config struct {
	Client    kubernetes.Interface
	Informers informers.SharedInformerFactory
	Endpoints *endpoints.Index
	// LoadBalancers is where addresses of load balancers are taken from, in ascending
	// order. A Service may ask for one by spec.loadBalancerIP.
	LoadBalancers netip.Prefix
	Logger        *slog.Logger
}

func (c *Config) validate() error {
	switch {
	case c.Client == nil || c.Informers == nil || c.Endpoints == nil:
		return errors.New("a client, informers and an index of endpoints are needed")
	case !c.LoadBalancers.IsValid():
		return errors.New("addresses for load balancers are needed")
	case c.Logger == nil:
		return errors.New("a logger is needed")
	}
	return nil
}

// forwarder serves one frontend.
type forwarder interface {
	// update replaces the endpoints. Connections to others go on.
	update(backends []netip.AddrPort)
	close()
}

// Proxy forwards connections to Services. All its state is in the hands of Run.
type Proxy struct {
	cfg      Config
	services corelisters.ServiceLister
	queue    workqueue.TypedRateLimitingInterface[cache.ObjectName]
	pool     *pool

	forwarders map[frontend]owned
	frontends  map[cache.ObjectName][]frontend // of each Service
}

// owned is a forwarder and whose it is.
type owned struct {
	forwarder
	by cache.ObjectName
}

// New registers with the informers, which the caller then starts.
func New(cfg Config) (*Proxy, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("service proxy: %w", err)
	}
	services, slices := cfg.Informers.Core().V1().Services(), cfg.Informers.Discovery().V1().EndpointSlices()
	proxy := &Proxy{
		cfg:      cfg,
		services: services.Lister(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]()),
		pool:       newPool(cfg.LoadBalancers),
		forwarders: make(map[frontend]owned),
		frontends:  make(map[cache.ObjectName][]frontend),
	}
	if err := proxy.listenTo(services.Informer(), nameOf); err != nil {
		return nil, err
	}
	if err := proxy.listenTo(slices.Informer(), endpoints.ServiceOf); err != nil {
		return nil, err
	}
	return proxy, nil
}

// listenTo queues the Service of every object that changes.
func (p *Proxy) listenTo(informer cache.SharedIndexInformer, service func(any) (cache.ObjectName, bool)) error {
	queue := func(object any) {
		if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
			object = gone.Obj
		}
		if name, ok := service(object); ok {
			p.queue.Add(name)
		}
	}
	_, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    queue,
		UpdateFunc: func(_, object any) { queue(object) },
		DeleteFunc: queue,
	})
	return err
}

func nameOf(object any) (cache.ObjectName, bool) {
	service, ok := object.(*corev1.Service)
	if !ok {
		return cache.ObjectName{}, false
	}
	return cache.MetaObjectToName(service), true
}

// Run serves until ctx ends. The informers must have been started.
func (p *Proxy) Run(ctx context.Context) error {
	p.cfg.Informers.WaitForCacheSync(ctx.Done())
	stop := context.AfterFunc(ctx, p.queue.ShutDown)
	defer stop()
	defer func() {
		for _, forwarder := range p.forwarders {
			forwarder.close()
		}
	}()
	for {
		name, ended := p.queue.Get()
		if ended {
			return nil
		}
		if err := p.sync(ctx, name); err != nil && ctx.Err() == nil {
			p.cfg.Logger.Warn("service not served as it should be", "namespace", name.Namespace, "name", name.Name, "error", err)
			p.queue.AddRateLimited(name)
		} else {
			p.queue.Forget(name)
		}
		p.queue.Done(name)
	}
}

// sync makes the listeners of one Service what they should be.
func (p *Proxy) sync(ctx context.Context, name cache.ObjectName) error {
	service, err := p.services.Services(name.Namespace).Get(name.Name)
	if apierrors.IsNotFound(err) {
		p.pool.release(name)
		return p.replace(name, nil)
	}
	if err != nil {
		return err
	}
	return errors.Join(p.replace(name, table(service, p.cfg.Endpoints.Of(name))), p.balance(ctx, service))
}

// replace makes wanted all that is listened to for a Service.
func (p *Proxy) replace(name cache.ObjectName, wanted map[frontend][]netip.AddrPort) error {
	for _, front := range p.frontends[name] {
		if _, kept := wanted[front]; !kept {
			p.forwarders[front].close()
			delete(p.forwarders, front)
		}
	}
	delete(p.frontends, name)
	var errs []error
	for front, backends := range wanted {
		if err := p.serve(name, front, backends); err != nil {
			errs = append(errs, err)
			continue
		}
		p.frontends[name] = append(p.frontends[name], front)
	}
	return errors.Join(errs...)
}

// serve makes one address of a Service lead to these endpoints.
func (p *Proxy) serve(name cache.ObjectName, front frontend, backends []netip.AddrPort) error {
	if existing, found := p.forwarders[front]; found {
		if existing.by != name {
			return fmt.Errorf("%s is an address of %s", front.address, existing.by)
		}
		existing.update(backends)
		return nil
	}
	made, err := p.listen(front, backends)
	if err != nil {
		return err
	}
	p.forwarders[front] = owned{made, name}
	return nil
}

func (p *Proxy) listen(front frontend, backends []netip.AddrPort) (forwarder, error) {
	switch front.protocol {
	case corev1.ProtocolTCP:
		return newTCP(front.address, backends)
	case corev1.ProtocolUDP:
		return newUDP(front.address, backends)
	default:
		return nil, fmt.Errorf("protocol %s of %s is not supported", front.protocol, front.address)
	}
}
