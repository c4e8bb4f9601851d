// Package endpoints finds the EndpointSlices of a Service, without looking through all
// that there are.
package endpoints

import (
	"fmt"

	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/tools/cache"
)

const byService = "service"

// Index finds slices by the Service that they belong to.
type Index struct{ indexer cache.Indexer }

// New adds the index to the informer of a factory, which the caller then starts. There
// can be one for each factory.
func New(factory informers.SharedInformerFactory) (*Index, error) {
	informer := factory.Discovery().V1().EndpointSlices().Informer()
	err := informer.AddIndexers(cache.Indexers{byService: func(object any) ([]string, error) {
		if name, ok := ServiceOf(object); ok {
			return []string{name.String()}, nil
		}
		return nil, nil
	}})
	if err != nil {
		return nil, fmt.Errorf("index EndpointSlices by Service: %w", err)
	}
	return &Index{indexer: informer.GetIndexer()}, nil
}

// ServiceOf names the Service of a slice.
func ServiceOf(object any) (name cache.ObjectName, ok bool) {
	slice, ok := object.(*discoveryv1.EndpointSlice)
	if !ok || slice.Labels[discoveryv1.LabelServiceName] == "" {
		return cache.ObjectName{}, false
	}
	return cache.NewObjectName(slice.Namespace, slice.Labels[discoveryv1.LabelServiceName]), true
}

// Of returns the slices of a Service with addresses of IPv4. They must not be changed.
func (i *Index) Of(service cache.ObjectName) []*discoveryv1.EndpointSlice {
	objects, err := i.indexer.ByIndex(byService, service.String())
	if err != nil {
		panic(err) // New added the index
	}
	var slices []*discoveryv1.EndpointSlice
	for _, object := range objects {
		if slice := object.(*discoveryv1.EndpointSlice); slice.AddressType == discoveryv1.AddressTypeIPv4 {
			slices = append(slices, slice)
		}
	}
	return slices
}
