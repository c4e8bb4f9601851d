// Package nats stands in for the real one.
package nats
