package logs

import "encoding/json"

// Template is the index template of the log lines' data stream, for
// PUT _index_template/logs-weir of Elasticsearch and OpenSearch.
func Template() []byte {
	b, _ := json.MarshalIndent(template, "", "  ") // of maps and texts
	return append(b, '\n')
}

type object = map[string]any

var (
	keyword = object{"type": "keyword", "ignore_above": 1024}
	text    = object{"type": "match_only_text"}
)

var template = object{
	"index_patterns": []string{"logs-" + Dataset + "-*"},
	"data_stream":    object{},
	"priority":       500, // above the engines' own templates for logs-*
	"template": object{
		"settings": object{"index": object{"number_of_replicas": 0, "refresh_interval": "1s"}},
		"mappings": object{
			"dynamic_templates": []object{{"ours": object{"path_match": "weir.*", "match_mapping_type": "string", "mapping": keyword}}},
			"properties": object{
				"@timestamp": object{"type": "date"},
				"message":    text,
				"log":        object{"properties": object{"level": keyword}},
				"trace":      object{"properties": object{"id": keyword}},
				"span":       object{"properties": object{"id": keyword}},
				"error":      object{"properties": object{"message": text}},
				"service":    object{"properties": object{"name": keyword, "version": keyword}},
				"host":       object{"properties": object{"name": keyword}},
				"process":    object{"properties": object{"pid": object{"type": "long"}}},
				"event":      object{"properties": object{"dataset": keyword}},
				"ecs":        object{"properties": object{"version": keyword}},
			},
		},
	},
	"_meta": object{"description": "Log lines of weir, ECS " + Version},
}
