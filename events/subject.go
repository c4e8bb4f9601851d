package events

import (
	"fmt"
	"strings"
	"time"
)

// Subjects of the streams, without the tokens that name the object.
const (
	eventsPrefix    = "rutter.events."
	endpointsPrefix = "rutter.endpoints."
	snapshotsPrefix = "rutter.snapshots."
	receiptsPrefix  = "rutter.receipts."
	actorsPrefix    = "rutter.actors."
)

// Subject is where an event about key goes:
// rutter.events.<cluster>.<resource>.<namespace>.<name>, or under
// rutter.endpoints. for an EndpointSlice. A dot inside a name is written "_",
// which is legal in no Kubernetes name, so that [ParseSubject] can undo it.
func Subject(cluster string, key Key) string { return prefixOf(key) + tokens(cluster, key) }

// ActorSubject is where it is recorded who was seen asking for a change of key:
// rutter.actors. and then as in [Subject].
func ActorSubject(cluster string, key Key) string { return actorsPrefix + tokens(cluster, key) }

func subjectOf(e Event) string {
	if e.Type == TypeActor {
		return ActorSubject(e.Cluster, e.Key)
	}
	return Subject(e.Cluster, e.Key)
}

func tokens(cluster string, key Key) string {
	return token(cluster) + "." + token(key.Resource) + "." + token(orDash(key.Namespace)) + "." + token(key.Name)
}

// prefixOf is the stream's prefix for what concerns key: endpoints, their sync
// brackets and each stream's own guard lie in the stream they are about.
func prefixOf(key Key) string {
	switch {
	case key.Resource == EndpointSlices, key == SyncKey(EndpointSlices), key == EpochKey(StreamEndpoints):
		return endpointsPrefix
	case key == EpochKey(StreamSnapshots):
		return snapshotsPrefix
	default:
		return eventsPrefix
	}
}

// ParseSubject undoes [Subject] and [ActorSubject].
func ParseSubject(subject string) (cluster string, key Key, err error) {
	rest, ok := subject, false
	for _, prefix := range []string{eventsPrefix, endpointsPrefix, snapshotsPrefix, actorsPrefix} {
		if rest, ok = strings.CutPrefix(subject, prefix); ok {
			break
		}
	}
	parts := strings.Split(rest, ".")
	if !ok || len(parts) != 4 {
		return "", Key{}, fmt.Errorf("subject %q is not of the form rutter.events.<cluster>.<resource>.<namespace>.<name>", subject)
	}
	for i := range parts {
		if parts[i] == "" {
			return "", Key{}, fmt.Errorf("subject %q has an empty token", subject)
		}
		parts[i] = strings.ReplaceAll(parts[i], "_", ".")
	}
	return parts[0], Key{Resource: parts[1], Namespace: fromDash(parts[2]), Name: parts[3]}, nil
}

// SnapshotSubject is where versions of the routing of a cluster are published.
func SnapshotSubject(cluster string) string { return snapshotsPrefix + token(cluster) + ".version" }

// ReceiptSubject is where the xDS server named server reports what its Envoys hold.
func ReceiptSubject(cluster, server string) string {
	return receiptsPrefix + token(cluster) + "." + token(server)
}

// GuardSubject is the guard of a stream: the one subject whose last message is
// the epoch that may write there (see [EpochOpened]).
func GuardSubject(stream, cluster string) string {
	return Subject(cluster, EpochKey(stream))
}

// HeartbeatSubject is where the holder of a stream's lease says that it lives,
// in plain NATS messages that no stream stores.
func HeartbeatSubject(stream, cluster string) string {
	return "rutter.heartbeat." + strings.ToLower(stream) + "." + token(cluster)
}

// ReceiptHeartbeatSubject is where the xDS server named server repeats its last
// receipt, in messages that no stream stores; "*" is every server.
func ReceiptHeartbeatSubject(cluster, server string) string {
	return "rutter.heartbeat.receipts." + token(cluster) + "." + token(server)
}

// HeartbeatEvery is how often an xDS server repeats its last receipt.
const HeartbeatEvery = time.Second

func token(s string) string { return strings.ReplaceAll(s, ".", "_") }
