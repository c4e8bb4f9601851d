package route

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/rutter-gateway/rutter/events"
)

// computeHost merges the rules of every route that may answer for a hostname:
// those of the same listener whose own hostname covers it. A request that no rule
// of the most specific hostname matches meets the rules of the wider ones
// (HTTPRouteRule.matches: "across all rules specified on applicable Routes").
func (t *Tables) computeHost(r *reader, id HostID) *Host {
	if port, ok := misdirectedPort(id.Chain); ok {
		at := spot{port, overTLS, id.Hostname}
		r.note(spotOf(id.Gateway, at))
		if m := t.merged[id.Gateway]; m == nil || m.owners[at] == nil {
			return nil
		}
		return &Host{ID: id, Misdirected: true}
	}
	chain := r.chain(chainOf(id))
	if chain == nil {
		return nil
	}
	owner := r.owner(id.Gateway, spot{chain.Port, chain.transport(), id.Hostname}, "")
	if owner == nil {
		return nil
	}
	host := &Host{ID: id}
	if owner.chain() != id.Chain {
		host.Misdirected = true
		return host
	}
	if len(owner.filters) > 0 {
		host.Auth = owner.id
	}
	var candidates []candidate
	seen := map[events.Key]bool{}
	for specificity, pattern := range covering(id.Hostname) {
		member := memberID{id.Gateway, owner.id, pattern}
		r.note(member.node())
		routes := t.members[member]
		if routes == nil {
			continue
		}
		routes.each(func(key events.Key) { // sorted below, by a total order
			if !seen[key] {
				seen[key] = true
				own := pattern == id.Hostname || owner.hostname == id.Hostname
				candidates = t.attachments[key].candidates(candidates, id.Gateway, specificity, own)
			}
		})
	}
	slices.SortFunc(candidates, func(a, b candidate) int { return a.compare(&b) })
	for i := range candidates {
		host.Entries = append(host.Entries, candidates[i].entry)
	}
	host.Shadows = findShadows(candidates)
	return host
}

func (a *attachment) candidates(list []candidate, gateway string, specificity int, own bool) []candidate {
	for i, rule := range a.rules {
		for j, match := range a.matches[i] {
			list = append(list, candidate{
				specificity: specificity, own: own, order: a.order, rule: rule.Index, match: j,
				entry: Entry{Name: entryName(rule, j), Match: match, Rule: rule, Tenant: a.tenants[gateway]},
			})
		}
	}
	return list
}

func entryName(rule *Rule, match int) string {
	name := fmt.Sprintf("%s/%s/%d/%d", rule.Route.Namespace, rule.Route.Name, rule.Index, match)
	if rule.Route.Resource == events.HTTPRoutes {
		return name
	}
	return strings.TrimSuffix(rule.Route.Resource, "routes") + "/" + name
}

// MisdirectedChain stands for all HTTPS chains of a port: its hosts are the hostnames of
// all listeners there, which are misdirected on each chain whose own hostname does not
// cover them.
func MisdirectedChain(port int32) string { return misdirectedPrefix + strconv.Itoa(int(port)) }

const misdirectedPrefix = "https-"

// IsMisdirected tells whether a chain is a [MisdirectedChain].
func IsMisdirected(chain string) bool {
	_, ok := misdirectedPort(chain)
	return ok
}

func misdirectedPort(chain string) (int32, bool) {
	rest, ok := strings.CutPrefix(chain, misdirectedPrefix)
	port, err := strconv.ParseInt(rest, 10, 32) // a chain has the name of its listener behind the port
	return int32(port), ok && err == nil
}

func hostOutput(id HostID) node { return node{hostNode, id.Gateway, id.Chain, id.Hostname} }

func chainOf(id HostID) chainID { return chainID{id.Gateway, id.Chain} }

// chainID names a filter chain of a Gateway.
type chainID struct{ gateway, chain string }

func chainOutput(id chainID) node { return node{layer: chainNode, a: id.gateway, b: id.chain} }

// sortedHosts are the hosts of a chain by hostname.
func sortedHosts(hosts map[string]*Host) []*Host {
	list := make([]*Host, 0, len(hosts))
	for _, h := range hosts { //determinism: sorted below
		list = append(list, h)
	}
	slices.SortFunc(list, func(a, b *Host) int { return strings.Compare(a.ID.Hostname, b.ID.Hostname) })
	return list
}
