// Package sandbox runs one program as a container runtime would: with a file system,
// process numbers and privileges of its own, in the network of its pod.
//
//	Start(Spec) ──► cmd/container, in new namespaces ──► Main: mounts, pivots, ──► the program
//	                                                     drops privileges
//
// There are no image layers: the root is an empty tmpfs with the few files that a
// minimal image has, and the program itself is a file of the machine, bound to the
// place where the image has it, as are the libraries of a program that needs some.
//
// The work between the new namespaces and the program is done by a small command of
// its own, because a Go program cannot change these things for itself once it runs,
// and because it starts in a few milliseconds. See container.go for the caller's
// side, inside.go for what happens inside.
package sandbox
