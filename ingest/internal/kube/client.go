package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation/path"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"

	"github.com/rutter-gateway/rutter/events"
)

// Client reads an API server.
type Client struct {
	objects  dynamic.Interface
	metadata metadata.Interface
}

// NewClient makes a client. It asks as fast as it may: what it asks for is bounded
// by what happens, and the API server has its own idea of fairness.
func NewClient(c *rest.Config) (*Client, error) {
	c = rest.CopyConfig(c)
	c.QPS = -1
	c.WarningHandlerWithContext = rest.NoWarnings{}
	connection, err := rest.HTTPClientFor(c)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	objects, err := dynamic.NewForConfigAndClient(c, connection)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	meta, err := metadata.NewForConfigAndClient(c, connection)
	if err != nil {
		return nil, fmt.Errorf("reach the API server: %w", err)
	}
	return &Client{objects: objects, metadata: meta}, nil
}

// ClusterUID tells clusters apart: the uid of the namespace kube-system. It is ""
// where that may not be read.
func (c *Client) ClusterUID(ctx context.Context) (string, error) {
	namespace, err := c.metadata.Resource(schema.GroupVersionResource{Version: "v1", Resource: events.Namespaces}).
		Get(ctx, metav1.NamespaceSystem, metav1.GetOptions{})
	switch {
	case apierrors.IsForbidden(err):
		return "", nil
	case err != nil:
		return "", fmt.Errorf("ask which cluster this is: %w", err)
	}
	return string(namespace.UID), nil
}

func (c *Client) watch(ctx context.Context, k kind, version string, o metav1.ListOptions) (watch.Interface, error) {
	if k.fetched {
		return c.metadata.Resource(k.gvr(version)).Watch(ctx, o)
	}
	return c.objects.Resource(k.gvr(version)).Watch(ctx, o)
}

// page is a part of a list.
type page struct {
	items                 []runtime.Object
	resourceVersion, next string
}

func (c *Client) list(ctx context.Context, k kind, version string, o metav1.ListOptions) (page, error) {
	if k.fetched {
		list, err := c.metadata.Resource(k.gvr(version)).List(ctx, o)
		if err != nil {
			return page{}, err
		}
		out := page{resourceVersion: list.ResourceVersion, next: list.Continue}
		for i := range list.Items {
			out.items = append(out.items, &list.Items[i])
		}
		return out, nil
	}
	list, err := c.objects.Resource(k.gvr(version)).List(ctx, o)
	if err != nil {
		return page{}, err
	}
	out := page{resourceVersion: list.GetResourceVersion(), next: list.GetContinue()}
	for i := range list.Items {
		out.items = append(out.items, &list.Items[i])
	}
	return out, nil
}

// now is the present resourceVersion, by the smallest list there is.
func (c *Client) now(ctx context.Context, k kind, version string) (string, error) {
	list, err := c.metadata.Resource(k.gvr(version)).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return "", err
	}
	return list.ResourceVersion, nil
}

// get fetches one object; nil where there is none.
func (c *Client) get(ctx context.Context, k kind, version string, key events.Key) (*unstructured.Unstructured, error) {
	if len(path.IsValidPathSegmentName(key.Namespace))+len(path.IsValidPathSegmentName(key.Name)) > 0 {
		return nil, nil // no object has such a name
	}
	o, err := c.objects.Resource(k.gvr(version)).Namespace(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if isGone(err, key) {
		return nil, nil
	}
	return o, err
}

// exists tells whether an object does.
func (c *Client) exists(ctx context.Context, k kind, version string, key events.Key) (bool, error) {
	_, err := c.metadata.Resource(k.gvr(version)).Namespace(key.Namespace).Get(ctx, key.Name, metav1.GetOptions{})
	if isGone(err, key) {
		return false, nil
	}
	return err == nil, err
}

// isRefused tells whether the API server has refused a request for good: asking again
// would be answered alike.
func isRefused(err error) bool {
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return false
	}
	switch code := status.Status().Code; code {
	case http.StatusUnauthorized, http.StatusRequestTimeout, http.StatusTooManyRequests:
		return false
	default:
		return code >= 400 && code < 500
	}
}

// isGone tells whether the API server said that exactly this object does not
// exist. It says 404, without a name, also where it does not know the kind.
func isGone(err error, key events.Key) bool {
	var status apierrors.APIStatus
	if !apierrors.IsNotFound(err) || !errors.As(err, &status) {
		return false
	}
	details := status.Status().Details
	return details != nil && details.Name == key.Name
}
