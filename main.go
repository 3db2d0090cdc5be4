// Command weir runs, watches and inspects an event-driven business.
package main

import (
	"os"

	"github.com/weirstream/weir/deploy/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:], os.Stdout, os.Stderr)) }
