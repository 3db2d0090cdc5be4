//go:build !synctests

package streamtest

const tagged = false
