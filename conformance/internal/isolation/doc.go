// Package isolation runs the program that calls it once more, in namespaces of its
// own, where it is root over a network, a table of mounts and a set of processes that
// nobody else sees.
//
//	make ──► outer, on the machine ──► init, process 1 inside ──► the program
//	            │ forwards signals         │ reaps what is orphaned
//	            └ a listener on the machine's loopback, handed down
//
// What it promises is cleanliness: whatever the program started, mounted or
// configured ends with it, because the kernel kills every process of a process
// namespace when its first one ends, and nothing else holds the other namespaces.
// That also holds when the outer process is killed.
//
// Read run.go first.
package isolation
