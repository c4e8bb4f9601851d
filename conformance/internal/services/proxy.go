package services

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	discoverylisters "k8s.io/client-go/listers/discovery/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// Config says what the proxy reads, and from where it gives out addresses.
type Config struct {
	Client    kubernetes.Interface
	Informers informers.SharedInformerFactory
	// LoadBalancers is where addresses of load balancers are taken from, in ascending
	// order. A Service may ask for one by spec.loadBalancerIP.
	LoadBalancers netip.Prefix
	Logger        *slog.Logger
}

func (c *Config) validate() error {
	switch {
	case c.Client == nil || c.Informers == nil:
		return errors.New("a client and informers are needed")
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
	slices   discoverylisters.EndpointSliceLister
	queue    workqueue.TypedRateLimitingInterface[cache.ObjectName]
	pool     *pool

	forwarders map[frontend]forwarder
	owners     map[frontend]cache.ObjectName
}

// New registers with the informers, which the caller then starts.
func New(cfg Config) (*Proxy, error) {
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("service proxy: %w", err)
	}
	services, endpoints := cfg.Informers.Core().V1().Services(), cfg.Informers.Discovery().V1().EndpointSlices()
	proxy := &Proxy{
		cfg:      cfg,
		services: services.Lister(),
		slices:   endpoints.Lister(),
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.DefaultTypedControllerRateLimiter[cache.ObjectName]()),
		pool:       newPool(cfg.LoadBalancers),
		forwarders: make(map[frontend]forwarder),
		owners:     make(map[frontend]cache.ObjectName),
	}
	if err := proxy.listenTo(services.Informer(), nameOf); err != nil {
		return nil, err
	}
	if err := proxy.listenTo(endpoints.Informer(), serviceOf); err != nil {
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

func serviceOf(object any) (cache.ObjectName, bool) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok || slice.Labels[discoveryv1.LabelServiceName] == "" {
		return cache.ObjectName{}, false
	}
	return cache.NewObjectName(slice.Namespace, slice.Labels[discoveryv1.LabelServiceName]), true
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
	endpoints, err := p.slices.EndpointSlices(name.Namespace).List(labels.SelectorFromSet(labels.Set{discoveryv1.LabelServiceName: name.Name}))
	if err != nil {
		return err
	}
	return errors.Join(p.replace(name, table(service, endpoints)), p.balance(ctx, service))
}

// replace makes wanted all that is listened to for a Service.
func (p *Proxy) replace(name cache.ObjectName, wanted map[frontend][]netip.AddrPort) error {
	for front, owner := range p.owners {
		if _, kept := wanted[front]; owner == name && !kept {
			p.forwarders[front].close()
			delete(p.forwarders, front)
			delete(p.owners, front)
		}
	}
	var errs []error
	for front, backends := range wanted {
		if existing, found := p.forwarders[front]; found {
			if owner := p.owners[front]; owner != name {
				errs = append(errs, fmt.Errorf("%s is an address of %s", front.address, owner))
				continue
			}
			existing.update(backends)
			continue
		}
		made, err := p.listen(front, backends)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		p.forwarders[front], p.owners[front] = made, name
	}
	return errors.Join(errs...)
}

func (p *Proxy) listen(front frontend, backends []netip.AddrPort) (forwarder, error) {
	backends = slices.Clone(backends)
	switch front.protocol {
	case corev1.ProtocolTCP:
		return newTCP(front.address, backends)
	case corev1.ProtocolUDP:
		return newUDP(front.address, backends)
	default:
		return nil, fmt.Errorf("protocol %s of %s is not supported", front.protocol, front.address)
	}
}
