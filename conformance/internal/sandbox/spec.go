package sandbox

import "errors"

// Spec is a container. It is handed to the process inside as JSON.
type Spec struct {
	// Args is the command line. A first word without a slash is looked up in PATH.
	Args []string
	Env  []string
	// Dir is the working directory; empty is the root.
	Dir      string
	Hostname string
	// Files are written into the root: path to content.
	Files map[string]string
	// Mounts are bound into the root, in this order: programs and volumes.
	Mounts []Mount
	// ReadOnly closes the root against writing. Mounts say so for themselves.
	ReadOnly bool
	// UID, GID and Groups are whom the program runs as.
	UID, GID int
	Groups   []int
	// Capabilities are what a program of root has, by number. Any other user has none.
	Capabilities []uintptr
	// NoNewPrivileges keeps a program from getting more rights than it was given.
	NoNewPrivileges bool
}

// Mount binds a file or directory of the machine into the container.
type Mount struct {
	Source, Target string
	ReadOnly       bool
}

func (s *Spec) validate() error {
	switch {
	case len(s.Args) == 0:
		return errors.New("there is no command to run")
	case s.Hostname == "":
		return errors.New("there is no hostname")
	}
	return nil
}
