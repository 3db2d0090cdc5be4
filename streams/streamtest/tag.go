//go:build synctests

package streamtest

// The Kafka client's locks, built with this tag, do not hold virtual time up.
const tagged = true
