package normalize

import "maps"

// lastActor is the entry of managedFields of who wrote last, less the fields that
// were written; nil where there is none. Who writes status, we among them, changes
// nothing that is recorded. Times have seconds; of several in one second the last
// entry counts, as the API server sorts them by time.
func lastActor(managedFields any) map[string]any {
	entries, _ := managedFields.([]any)
	var last map[string]any
	latest := ""
	for _, e := range entries {
		entry, _ := e.(map[string]any)
		at, _ := entry["time"].(string)
		if subresource, _ := entry["subresource"].(string); subresource != "" || entry["manager"] == nil || at < latest {
			continue
		}
		last, latest = entry, at
	}
	if last == nil {
		return nil
	}
	last = maps.Clone(last)
	delete(last, "fieldsV1")
	delete(last, "fieldsType")
	return last
}
