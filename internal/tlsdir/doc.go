// Package tlsdir serves TLS with the certificate in a directory, as a Secret of
// Kubernetes is mounted.
//
//	tls.crt, tls.key, ca.crt ──read again when they change──► tls.Config
//
// It promises that a certificate which is renewed is served without a restart, and
// that while what is there cannot be used, the last that could be stays in force. It
// refuses to watch anything: files are looked at when a client connects.
package tlsdir
