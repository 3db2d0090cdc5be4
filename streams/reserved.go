package streams

// reserved are the names of the platform's own parts, and what they are. A service or
// pipeline called so would share with one of them a group, a user of Kafka, a file, a
// record of the control topic or a place among the units.
var reserved = map[string]string{
	"all":          "all units at once",
	AnalyticsUnit:  "the writer of analytics",
	"customers":    "the simulated customers",
	ExternalWriter: "who posts events from outside",
	"gateway":      "the HTTP interface",
	"incarnations": "who follows the incarnations of the stores",
	IngestUnit:     "ingestion",
	platformUnit:   "the platform as a whole",
	"prober":       "the prober",
	"process":      "each process in the registry",
	ProjectionUnit: "the writer of the read model",
	"reads":        "the read model's file",
	ownTopics:      "the platform's own topics",
}

// ownTopics is what the names of topics begin with that belong to no writer.
const ownTopics = "weir"

// Reserved says what of the platform is called so; empty if nothing is.
func Reserved(name string) string { return reserved[name] }
