// Command weir runs, watches and inspects an event-driven business.
package main

import (
	"os"

	"github.com/weirstream/weir/deploy/cli"
	"github.com/weirstream/weir/services/shop"
)

func main() { os.Exit(cli.Main(shop.Business, os.Args[1:], os.Stdout, os.Stderr)) }
