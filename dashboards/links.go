package dashboards

import (
	"net/url"
	"regexp"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// live is the variable with the live page's address.
func (b Business) live() dashboard.VariableModel {
	return entry("live", "Live page", b.Live, "Where weir answers, as your browser reaches it.")
}

// tracesOf leads to a service's traces in Jaeger.
func tracesOf(service string) dashboard.DashboardLink {
	return outside("Traces of "+service, explore(Jaeger, `{"refId":"A","queryType":"search","service":"`+service+`"}`), "Search in Jaeger")
}

// logsOf leads to a service's lines in Elasticsearch.
func logsOf(service string) dashboard.DashboardLink {
	return outside("Logs of "+service, explore(Elasticsearch, lines(`service.name:`+service)), "Lines in Elasticsearch")
}

// lines is a query of log lines, by Lucene; quotes in it are escaped for JSON.
func lines(lucene string) string {
	return `{"refId":"A","query":"` + lucene + `","metrics":[{"id":"1","type":"logs"}],"bucketAggs":[],"timeField":"@timestamp"}`
}

var variable = regexp.MustCompile(`\$\{[a-z_.]+\}`)

// explore is the address of a query in Grafana's Explore. The form is that of
// Grafana 9, which newer ones still read. Variables stay as they are: Grafana
// fills them in.
func explore(datasource, query string) string {
	state := `{"datasource":"` + datasource + `","queries":[` + query + `],"range":{"from":"${__from}","to":"${__to}"}}`
	var out strings.Builder
	for at := 0; ; {
		next := variable.FindStringIndex(state[at:])
		if next == nil {
			out.WriteString(url.QueryEscape(state[at:]))
			return "/explore?left=" + strings.ReplaceAll(out.String(), "+", "%20")
		}
		out.WriteString(url.QueryEscape(state[at:at+next[0]]) + state[at+next[0]:at+next[1]])
		at += next[1]
	}
}
