package events

// ReferenceKey is the key of an object that others name by group and kind and that is
// recorded only because they do: a ConfigMap, a Secret or a ClusterTrustBundle,
// which is in no namespace. False for other kinds.
func ReferenceKey(group, kind, namespace, name string) (Key, bool) {
	switch {
	case group == "" && kind == "ConfigMap":
		return Key{Resource: ConfigMaps, Namespace: namespace, Name: name}, true
	case group == "" && kind == "Secret":
		return Key{Resource: Secrets, Namespace: namespace, Name: name}, true
	case group == "certificates.k8s.io" && kind == "ClusterTrustBundle":
		return Key{Resource: ClusterTrustBundles, Name: name}, true
	}
	return Key{}, false
}
