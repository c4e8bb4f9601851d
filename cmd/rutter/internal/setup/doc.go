// Package setup makes the keys of an installation, once.
//
//	Run ──► Secret rutter-identity     opens the private keys in the log (age); for xDS servers
//	    ──► ConfigMap rutter-recipient seals them; for ingest
//	    ──► Secret rutter-nats         lets the services into NATS
//	    ──► Secret rutter-ca           signs the certificates of Envoys and xDS servers; for the provisioner
//
// It promises that what is there stays, so that it can run at every upgrade, and that
// the recipient is always that of the identity, also when two run at once or one was
// killed half-way. It refuses to replace a key: a lost identity makes the keys in the
// log unreadable, so that is a decision for people.
//
// Read setup.go.
package setup
