package replay

import (
	"github.com/rutter-gateway/rutter/events"
	"github.com/rutter-gateway/rutter/projector/internal/checkpoint"
)

// CheckpointName is the name under which the fold at a version is stored.
func CheckpointName(version events.Version) string { return checkpoint.Name(version) }
