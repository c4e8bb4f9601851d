package services

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// balance gives a Service of type LoadBalancer its address, and takes it from one that
// no longer is of that type. A class of load balancers is somebody else's.
func (p *Proxy) balance(ctx context.Context, service *corev1.Service) error {
	name := cache.MetaObjectToName(service)
	has := service.Status.LoadBalancer.Ingress
	if service.Spec.Type != corev1.ServiceTypeLoadBalancer {
		p.pool.release(name)
		if len(has) == 0 {
			return nil
		}
		return p.setIngress(ctx, service, nil)
	}
	if service.Spec.LoadBalancerClass != nil || service.DeletionTimestamp != nil {
		return nil
	}
	address, err := p.pool.assign(name, service.Spec.LoadBalancerIP, has)
	if err != nil {
		return errors.Join(err, p.setIngress(ctx, service, nil))
	}
	mode := corev1.LoadBalancerIPModeVIP
	return p.setIngress(ctx, service, []corev1.LoadBalancerIngress{{IP: address.String(), IPMode: &mode}})
}

func (p *Proxy) setIngress(ctx context.Context, service *corev1.Service, ingress []corev1.LoadBalancerIngress) error {
	has := service.Status.LoadBalancer.Ingress
	if len(has) == len(ingress) && (len(has) == 0 || has[0].IP == ingress[0].IP) {
		return nil
	}
	changed := service.DeepCopy()
	changed.Status.LoadBalancer.Ingress = ingress
	_, err := p.cfg.Client.CoreV1().Services(service.Namespace).UpdateStatus(ctx, changed, metav1.UpdateOptions{})
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return nil // it changed meanwhile, and is on its way here again
	}
	return err
}

// pool gives out the addresses of load balancers. An address that was given back comes
// last, so that what used it before has time to notice.
type pool struct {
	prefix   netip.Prefix
	last     netip.Addr
	assigned map[cache.ObjectName]netip.Addr
	used     map[netip.Addr]cache.ObjectName
}

func newPool(prefix netip.Prefix) *pool {
	return &pool{
		prefix: prefix, last: prefix.Masked().Addr(),
		assigned: make(map[cache.ObjectName]netip.Addr), used: make(map[netip.Addr]cache.ObjectName),
	}
}

// assign returns the address of a Service: the requested one, or the one that it has
// had, or the next.
func (p *pool) assign(name cache.ObjectName, requested string, has []corev1.LoadBalancerIngress) (netip.Addr, error) {
	if requested != "" {
		address, err := netip.ParseAddr(requested)
		if err != nil || !p.prefix.Contains(address) {
			return netip.Addr{}, fmt.Errorf("the requested address %s is not in %s", requested, p.prefix)
		}
		return p.take(name, address)
	}
	if address, found := p.assigned[name]; found {
		return address, nil
	}
	if len(has) == 1 {
		if address, err := netip.ParseAddr(has[0].IP); err == nil && p.prefix.Contains(address) {
			if _, used := p.used[address]; !used {
				return p.take(name, address)
			}
		}
	}
	candidate := p.last
	for range 1 << (candidate.BitLen() - p.prefix.Bits()) {
		if candidate = candidate.Next(); !p.prefix.Contains(candidate) {
			candidate = p.prefix.Masked().Addr().Next() // the first one names the network
		}
		if _, used := p.used[candidate]; !used {
			p.last = candidate
			return p.take(name, candidate)
		}
	}
	return netip.Addr{}, fmt.Errorf("all addresses of %s are in use", p.prefix)
}

func (p *pool) take(name cache.ObjectName, address netip.Addr) (netip.Addr, error) {
	if owner, used := p.used[address]; used && owner != name {
		return netip.Addr{}, fmt.Errorf("the address %s is used by %s", address, owner)
	}
	if before, found := p.assigned[name]; found && before != address {
		delete(p.used, before)
	}
	p.assigned[name], p.used[address] = address, name
	return address, nil
}

func (p *pool) release(name cache.ObjectName) {
	if address, found := p.assigned[name]; found {
		delete(p.used, address)
		delete(p.assigned, name)
	}
}
