package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"github.com/weirstream/weir/streams/telemetry"
)

// ingestion shows what comes from outside, by who sends it.
func ingestion(b Business, l limits) draft {
	client := `client=~"$client"`
	event := `type=~"$type"`
	d := draft{uid: IngestionUID, title: "Weir: ingestion", tags: []string{"ingestion"}, alerts: []string{`alertname=~"ClientsThrottled|Gateway.*"`},
		help:      "What clients post and ask, what is refused and why, and how long they wait.",
		variables: []dashboard.VariableModel{choice("client", "Client", telemetry.Posted, "client"), choice("type", "Event", telemetry.Ingested, "type"), instances(), b.live()},
		links:     []dashboard.DashboardLink{link("Overview", "/d/"+OverviewUID, "All services"), tracesOf("gateway")}}
	const none = "nobody has posted an event yet"
	d.rows = []row{
		{title: "Is it well?", panels: ingestionWell(l)},
		{title: "Where does it hurt?", panels: []*panel{
			graph("Refused and unavailable, by client", "cps", "Events a second that were not taken. Refused is the client's mistake, tell them; unavailable is ours.").unmarked(elsewhere).size(12, 8).
				query(per("client, result", telemetry.Posted, `result!~"accepted|repeated"`, client, onInstance), "{{client}} {{result}}").may("every posted event was accepted"),
			graph("Beyond their quota", "reqps", "Requests refused because the client had used up its quota. A tenth of all traffic is a ticket. Whether it should get more is a question of business.").unmarked(shared).size(12, 8).
				query(per("client", telemetry.QuotaRefused, client, onInstance), "{{client}}").may("no client is beyond its quota"),
		}},
		{title: "Events", panels: []*panel{
			graph("Accepted, by client", "cps", "Events a second that were taken, by client. A client at 0 that was not before: ask them.").unmarked(volume).
				query(per("client", telemetry.Posted, `result="accepted"`, client, onInstance), "{{client}}").may(none),
			graph("Accepted, by type", "cps", "Events a second that were taken, by type.").unmarked(volume).
				query(per("type", telemetry.Ingested, `result="accepted"`, event, onInstance), "{{type}}").may(none),
			graph("By result", "cps", "Events a second by what became of them.").unmarked(volume).
				query(seen(per("result", telemetry.Ingested, event, onInstance)), "{{result}}").may(none).paint("accepted", green, "repeated", blue, "refused", orange, "conflict", yellow, "unavailable", red).stacked(),
			list("In the time shown", counted, "Events by client and result, the most first. Clients that come seldom are \"other\".").unmarked(volume).size(24, 8).whole().
				query("sort_desc("+during("client, result", telemetry.Posted, client, onInstance)+")", "").may(none).
				transform("organize", map[string]any{"excludeByName": map[string]bool{"Time": true}, "renameByName": map[string]string{"client": "Client", "result": "Result", "Value": "Events"}}),
		}},
		{title: "How old it is", folded: true, panels: []*panel{
			graph("Age when posted, by its sender", "s", "How old events were when they were posted, as their senders say: a backfill posts old ones. No promise of ours is measured from it.").unmarked(volume).size(24, 8).
				query(quantile(0.5, "type", telemetry.SenderAge, event, onInstance), "{{type}} half").query(quantile(0.99, "type", telemetry.SenderAge, event, onInstance), "{{type}} 99 %").
				mayAll("no sender has said when its event happened"),
		}},
		{title: "Requests", panels: requests(l)},
	}
	return d
}

func ingestionWell(l limits) []*panel {
	all := []string{onInstance}
	return []*panel{
		number("Posted", "cps", "Events posted a second.").unmarked(volume).size(6, 4).query(orNone(per("", telemetry.Ingested, all...), anybody), "posted").steps(blue).spark(),
		number("Not taken", "percentunit", "Share of the posted events that were refused or unavailable.").size(6, 4).
			query(orNone("("+orNone(per("", telemetry.Ingested, `result!~"accepted|repeated"`, onInstance), anybody)+") / ("+per("", telemetry.Ingested, all...)+" > 0)", anybody), "not taken").steps(green, step{0.01, yellow}, step{0.1, red}).spark(),
		number("Beyond quota", "reqps", "Requests refused for their client's quota, all clients.").unmarked(shared).size(6, 4).
			query(orNone(per("", telemetry.QuotaRefused, all...), anybody), "refused").steps(blue).spark(),
		number("Answers", "s", "Time within which 99 % of the requests are answered. Red: the objective's bound.").size(6, 4).
			query(quantile(0.99, "", telemetry.RequestSeconds, all...), "99 %").limit(l.objective("gateway-latency")).spark(),
	}
}

func requests(l limits) []*panel {
	return []*panel{
		graph("Requests by route", "reqps", "HTTP requests a second by method and route.").unmarked(volume).size(12, 8).
			query(seen(per("method, route", telemetry.Requests, onInstance)), "{{method}} {{route}}").may("nobody has asked yet"),
		graph("Requests by status", "reqps", "HTTP requests a second by status. 429 and 4xx are clients' doing, 5xx is ours.").unmarked(volume).size(12, 8).
			query(seen(per("status", telemetry.Requests, onInstance)), "{{status}}").may("nobody has asked yet").stacked(),
		graph("Time to answer", "s", "How long requests take. The line is the objective's for commands and questions. "+
			"Points are traces.").size(12, 8).
			quantiles(telemetry.RequestSeconds, onInstance).limit(l.objective("gateway-latency")),
		heat("Spread", "How the time to answer spreads: a second band above the first is one slow thing behind the gateway.").unmarked(byColor).
			buckets(telemetry.RequestSeconds, onInstance),
	}
}
