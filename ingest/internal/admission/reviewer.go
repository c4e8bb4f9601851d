package admission

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	admissionv1 "k8s.io/api/admission/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/ingest/internal/keypair"
	"github.com/rutter-gateway/rutter/ingest/internal/kube"
	"github.com/rutter-gateway/rutter/ingest/internal/observed"
)

// maxGroups is how many groups of a user are kept. An identity provider may know thousands.
const maxGroups = 100

// Requests of which nothing is kept, and why.
var (
	errUnrecorded = errors.New("of what is asked about nothing is recorded")
	errUnchanged  = errors.New("it changes nothing that is recorded")
)

// Reviewer makes events of requests.
type Reviewer struct {
	Cluster string
	Now     func() time.Time
}

// Event is who asks for what. The error wraps errUnrecorded or errUnchanged where that
// is of no interest.
func (r *Reviewer) Event(request *admissionv1.AdmissionRequest) (events.Event, error) {
	at := r.Now().UTC()
	before, err := r.form(request, request.OldObject)
	if err != nil {
		return events.Event{}, err
	}
	after, err := r.form(request, request.Object)
	if err != nil {
		return events.Event{}, err
	}
	of := after
	switch {
	case request.Operation == admissionv1.Create && after != nil, request.Operation == admissionv1.Update && before != nil && after != nil:
	case request.Operation == admissionv1.Delete && before != nil:
		of, after = before, nil
	default:
		return events.Event{}, fmt.Errorf("%w: the operation is %q", errUnrecorded, request.Operation)
	}
	seen := events.ActorObserved{
		User: request.UserInfo.Username, Groups: request.UserInfo.Groups[:min(len(request.UserInfo.Groups), maxGroups)],
		RequestUID: string(request.UID), Operation: string(request.Operation), Subresource: request.SubResource, UID: of.uid,
		DryRun: request.DryRun != nil && *request.DryRun,
	}
	if before != nil {
		seen.ResourceVersion, seen.Before = before.version, hex.EncodeToString(before.content[:])
	}
	if after != nil {
		if before != nil && before.content == after.content {
			return events.Event{}, errUnchanged
		}
		seen.Content = hex.EncodeToString(after.content[:])
	}
	data, err := json.Marshal(seen)
	if err != nil {
		return events.Event{}, fmt.Errorf("encode who was seen: %w", err)
	}
	return events.Event{ID: "actor/" + seen.RequestUID, Type: events.TypeActor, Cluster: r.Cluster, Key: of.key, Time: at, Data: data}, nil
}

// form is what is kept of an object.
type form struct {
	key          events.Key
	uid, version string
	content      routing.Digest
}

// form reads an object of a request; nil where it has none.
func (r *Reviewer) form(request *admissionv1.AdmissionRequest, raw runtime.RawExtension) (*form, error) {
	if len(raw.Raw) == 0 {
		return nil, nil //nolint:nilnil // a creation has no object before it, a deletion none after it
	}
	object := &unstructured.Unstructured{}
	if err := object.UnmarshalJSON(raw.Raw); err != nil {
		return nil, fmt.Errorf("read the object: %w", err)
	}
	out := &form{uid: string(object.GetUID()), version: object.GetResourceVersion()}
	o, recorded, err := kube.Observed(schema.GroupResource{Group: request.Resource.Group, Resource: request.Resource.Resource}, object)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the object: %w", err)
	case !recorded:
		return nil, errUnrecorded
	case out.uid == "":
		return nil, errors.New("the object has no uid")
	}
	out.key = o.Key
	out.content, err = content(o)
	return out, err
}

// content is [events.Content] of what is recorded of an object.
func content(o observed.Object) (routing.Digest, error) {
	if o.Key.Resource != events.Secrets {
		return o.Hash, nil
	}
	secret, err := keypair.Public(o.Object)
	if err != nil {
		return routing.Digest{}, err
	}
	return keypair.Hash(secret)
}
