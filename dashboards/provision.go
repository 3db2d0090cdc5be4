package dashboards

import (
	"bytes"
	"cmp"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Folder is the uid of Grafana's folder with the boards, and FolderTitle its name.
const (
	Folder      = "weir"
	FolderTitle = "Weir"
)

// Servers are the addresses of what the boards ask, as Grafana reaches them.
type Servers struct {
	Prometheus    string // e.g. http://127.0.0.1:9090
	Jaeger        string // of the query API, e.g. http://127.0.0.1:16686
	Elasticsearch string // or OpenSearch, e.g. http://127.0.0.1:9200
	ClickHouse    string // e.g. http://127.0.0.1:8123/default; empty: there is none
}

type settings = map[string]any

// Files renders what Grafana reads at its start, by the path below its directory
// of configuration: the boards, their datasources and the folder. boardsAt is
// where Grafana will find the directory "dashboards" of these files. With watches,
// Grafana is to evaluate the alerts too.
func Files(b Business, s Servers, boardsAt string, watches bool) (map[string][]byte, error) {
	boards, err := Boards(b)
	if err != nil {
		return nil, err
	}
	out := map[string][]byte{}
	for _, board := range boards {
		if out["dashboards/"+board.ID()+".json"], err = board.JSON(); err != nil {
			return nil, err
		}
	}
	read := map[string]settings{
		"provisioning/datasources/weir.yaml": datasources(s, b.Live),
		"provisioning/dashboards/weir.yaml":  provider(boardsAt),
	}
	if watches {
		groups, err := b.Alerts.Groups()
		if err != nil {
			return nil, err
		}
		read["provisioning/alerting/weir.yaml"] = alerting(groups)
	}
	for path, v := range read {
		var text bytes.Buffer
		e := yaml.NewEncoder(&text)
		e.SetIndent(2)
		if err := e.Encode(v); err != nil {
			return nil, fmt.Errorf("%s not rendered: %w", path, err)
		}
		out[path] = text.Bytes()
	}
	return out, nil
}

// provider has Grafana read the boards from files, over and over. What is
// changed by hand does not last, so it is not let.
func provider(boardsAt string) settings {
	return settings{"apiVersion": 1, "providers": []settings{{
		"name": "weir", "orgId": 1, "type": "file", "folder": FolderTitle, "folderUid": Folder, "disableDeletion": false, "allowUiUpdates": false,
		"updateIntervalSeconds": 30, "options": settings{"path": boardsAt, "foldersFromFilesStructure": false}}}}
}

// datasources have their names as uids, so that boards, links and people say the
// same. A dollar is written twice: Grafana takes a single one for its environment.
func datasources(s Servers, live string) settings {
	source := func(name, kind, url string, json settings, more settings) settings {
		out := settings{"name": name, "uid": name, "type": kind, "access": "proxy", "url": url, "orgId": 1, "editable": false, "jsonData": json}
		for k, v := range more {
			out[k] = v
		}
		return out
	}
	all := []settings{
		source(Prometheus, "prometheus", s.Prometheus, settings{
			"httpMethod": "POST", "timeInterval": "5s",
			"manageAlerts": true, // the list of alerts shows its rules
			"exemplarTraceIdDestinations": []settings{
				{"name": "trace_id", "datasourceUid": Jaeger, "urlDisplayLabel": "Trace in Jaeger"},
				{"name": "trace_id", "url": live + "/traces/$${__value.raw}", "urlDisplayLabel": "Trace on the live page"},
				{"name": "trace_id", "url": strings.ReplaceAll(explore(Elasticsearch, lines("trace.id:${__value.raw}")), "$", "$$"), "urlDisplayLabel": "Its lines"}},
		}, settings{"isDefault": true}),
		source(Jaeger, "jaeger", s.Jaeger, settings{
			"nodeGraph": settings{"enabled": true},
			// From Grafana 9.4 on; before, a trace's lines are found by a board's link Logs.
			"tracesToLogsV2": settings{"datasourceUid": Elasticsearch, "customQuery": true, "query": `trace.id:"$${__trace.traceId}"`,
				"spanStartTimeShift": "-1h", "spanEndTimeShift": "1h"},
		}, nil),
		source(Elasticsearch, "elasticsearch", s.Elasticsearch, settings{
			"index": logsIndex, "timeField": "@timestamp", "esVersion": "8.0.0", "logMessageField": "message", "logLevelField": "log.level",
			"dataLinks": []settings{{"field": "trace.id", "datasourceUid": Jaeger, "url": "$${__value.raw}", "urlDisplayLabel": "Trace in Jaeger"}},
		}, settings{"database": logsIndex}), // where Grafana 9 looks for the index
	}
	if s.ClickHouse != "" {
		all = append(all, source(ClickHouse, clickHousePlugin, s.ClickHouse, clickHouseAt(s.ClickHouse), nil))
	}
	return settings{"apiVersion": 1, "datasources": all}
}

// clickHouseAt is where the plugin finds ClickHouse. A user and a password are not written:
// Grafana's user is to read only, and no other's.
func clickHouseAt(address string) settings {
	u, err := url.Parse(address)
	if err != nil {
		return settings{}
	}
	port, _ := strconv.Atoi(cmp.Or(u.Port(), map[string]string{"http": "8123", "https": "8443"}[u.Scheme]))
	return settings{"protocol": "http", "host": u.Hostname(), "port": port, "secure": u.Scheme == "https", "defaultDatabase": cmp.Or(strings.Trim(u.Path, "/"), "default")}
}

// logsIndex is where the log lines are; weir logs template has its mapping.
const logsIndex = "logs-weir-*"
