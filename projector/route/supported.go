package route

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"
	"sigs.k8s.io/gateway-api/pkg/consts"

	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/events/routing"
	"github.com/rutter-gateway/rutter/projector/fold"
)

// clusterConditions say on a GatewayClass what concerns all of them: which release
// of the Gateway API the cluster has, and what of the cluster cannot be read. Where
// there is no cluster (a directory of manifests), only the latter is said, and only
// when it is so.
func (r *reader) clusterConditions() []routing.Condition {
	var out []routing.Condition
	definitions, unlisted := r.definitions(), r.unlisted()
	if len(definitions) > 0 {
		out = append(out, supportedVersion(definitions))
	}
	return append(out, synced(unlisted, len(definitions) > 0)...)
}

// experimental tells whether Gateways have the fields of the experimental channel: as
// their definition says. Without a cluster they have all. In one whose definitions
// cannot be read they count as having none: what is written to a field that is not
// there would be taken for somebody else's change, and written for ever.
func (r *reader) experimental() bool {
	for _, o := range r.definitions() {
		if definition, _ := o.Value.(*fold.Definition); definition != nil && o.Key.Name == gatewaysDefinition {
			return definition.Channel == "experimental"
		}
	}
	return !r.settings().Provisioned
}

const gatewaysDefinition = "gateways." + gatewayv1.GroupName

// synced is the condition [routing.ConditionSynced]. A kind that is not installed is
// worth a word, and no trouble: there is nothing of it that could be missing.
func synced(unlisted []fold.Unlisted, cluster bool) []routing.Condition {
	reason, missing := "", []string{}
	said := []string{"All that routing depends on is read."}
	for _, each := range unlisted {
		if each.Problem.Reason == events.ReasonNotInstalled {
			said = append(said, each.Problem.Message)
			continue
		}
		reason = cmp.Or(reason, each.Problem.Reason)
		missing = append(missing, each.Problem.Message)
	}
	switch {
	case len(missing) > 0:
		return []routing.Condition{condition(routing.ConditionSynced, false, reason, strings.Join(missing, " "))}
	case cluster:
		return []routing.Condition{condition(routing.ConditionSynced, true, "Synced", strings.Join(said, " "))}
	}
	return nil
}

// supportedVersion is the condition SupportedVersion. An unknown release is served as
// well as it can be ("best effort"), as the Gateway API permits.
func supportedVersion(definitions []*fold.Object) routing.Condition {
	var found, unknown []string
	for _, o := range definitions {
		definition, _ := o.Value.(*fold.Definition)
		if definition == nil {
			definition = &fold.Definition{}
		}
		name, _, _ := strings.Cut(o.Key.Name, ".")
		if !isSupported(definition.Release) {
			unknown = append(unknown, name+" "+orNone(definition.Release))
		}
		found = append(found, strings.TrimSpace(orNone(definition.Release)+" "+definition.Channel))
	}
	kind := string(gatewayv1.GatewayClassConditionStatusSupportedVersion)
	if len(unknown) > 0 {
		return condition(kind, false, string(gatewayv1.GatewayClassReasonUnsupportedVersion),
			fmt.Sprintf("The Gateway API of the cluster is not one that Rutter knows (%s); it knows releases up to %s, and serves what it understands of this one.",
				strings.Join(unknown, ", "), consts.BundleVersion))
	}
	slices.Sort(found)
	return condition(kind, true, string(gatewayv1.GatewayClassReasonSupportedVersion),
		fmt.Sprintf("The Gateway API of the cluster is %s.", strings.Join(slices.Compact(found), ", ")))
}

func orNone(release string) string {
	if release == "" {
		return "without a release"
	}
	return release
}

// isSupported tells whether a release is one of v1 that this build, which was made
// for [consts.BundleVersion], knows all fields of. Older ones only have fewer.
func isSupported(release string) bool {
	major, minor := releaseOf(release)
	known, newest := releaseOf(consts.BundleVersion)
	return major == known && minor >= 0 && minor <= newest
}

// releaseOf is the major and minor number of v1.7.0 or v1.7.0-rc.1; -1 of what is
// not of that form.
func releaseOf(release string) (major, minor int) {
	text, ok := strings.CutPrefix(release, "v")
	parts := strings.SplitN(text, ".", 3)
	if !ok || len(parts) != 3 {
		return -1, -1
	}
	major, err := strconv.Atoi(parts[0])
	minor, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil {
		return -1, -1
	}
	return major, minor
}
