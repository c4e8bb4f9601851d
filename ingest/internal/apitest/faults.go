package apitest

import "net/http"

// faults are what a server was told to do wrong. Server.mu guards them.
type faults struct {
	forbidden map[string]bool
	disabled  map[string]bool
	hidden    map[string]func(name string) bool
	// noWatchList refuses to stream lists, as older servers do.
	noWatchList bool
	// breakLists is how many lists are to break off in the middle.
	breakLists int
	down       bool
	// generation ends all watches when it changes.
	generation uint64
	asked      map[string]int
}

func (s *Server) fault(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	s.wake()
}

// Forbid answers 403 to whatever is asked of a resource, and ends its watches;
// Allow no longer.
func (s *Server) Forbid(resource string) {
	s.fault(func() { s.forbidden[resource] = true; s.generation++ })
}

// Allow ends Forbid.
func (s *Server) Allow(resource string) { s.fault(func() { delete(s.forbidden, resource) }) }

// Disable is for a kind that this API server does not serve.
func (s *Server) Disable(resource string) { s.fault(func() { s.disabled[resource] = true }) }

// Hide leaves objects out of lists, although they exist; nil hides nothing.
func (s *Server) Hide(resource string, hidden func(name string) bool) {
	s.fault(func() { s.hidden[resource] = hidden })
}

// Break ends all watches.
func (s *Server) Break() { s.fault(func() { s.generation++ }) }

// Expire ends all watches and forgets what happened: they answer 410 from here on.
func (s *Server) Expire() {
	s.fault(func() { s.revision++; s.compacted = s.revision; s.history = nil })
}

// BreakLists lets the next lists that are streamed break off in the middle.
func (s *Server) BreakLists(count int) { s.fault(func() { s.breakLists = count }) }

// NoWatchList refuses to stream lists.
func (s *Server) NoWatchList() { s.fault(func() { s.noWatchList = true }) }

// Down ends all connections and answers nothing until Up.
func (s *Server) Down() {
	s.fault(func() { s.down = true; s.generation++ })
	s.http.CloseClientConnections()
}

// Up ends Down.
func (s *Server) Up() { s.fault(func() { s.down = false }) }

// Become makes the server that of another cluster.
func (s *Server) Become(clusterUID string) {
	s.fault(func() { s.clusterUID = clusterUID; s.generation++ })
}

// Asked is how often something was asked for: "get secrets", "watch secrets",
// "list secrets"; with "(metadata)" behind it where that was all.
func (s *Server) Asked(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[what]
}

func (s *Server) count(req request, r *http.Request) {
	verb := "list "
	switch {
	case req.name != "":
		verb = "get "
	case r.URL.Query().Get("watch") != "":
		verb = "watch "
	}
	what := verb + req.resource
	if req.metadataOnly {
		what += " (metadata)"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[what]++
}

func (s *Server) isDown() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.down
}

func (s *Server) isForbidden(resource string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.forbidden[resource]
}
