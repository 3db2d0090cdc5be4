// Command weir runs, watches and inspects an event-driven business.
package main

import (
	"os"

	"github.com/weirstream/weir/bench/retail"
	"github.com/weirstream/weir/deploy/cli"
	"github.com/weirstream/weir/services/shop"
)

func main() {
	os.Exit(cli.App{Business: shop.Business, Load: &retail.Command}.Main(os.Args[1:], os.Stdout, os.Stderr))
}
