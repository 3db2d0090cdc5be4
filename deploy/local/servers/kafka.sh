# Apache Kafka, broker and controller in one process, from Maven's jars.
kafka=4.3.0
port=$((base + 0)) sasl=$((base + 1)) controller=$((base + 2))
admin=weir-admin password=weir-admin-password

install() {
  once "kafka-$kafka" maven "org.apache.kafka:kafka_2.13:$kafka" org.apache.logging.log4j:log4j-slf4j-impl:2.25.1
}

java_with_kafka() {
  java -Dlog4j2.configurationFile="$here/kafka.log4j2.yaml" -cp "$cache/kafka-$kafka/*" "$@"
}

# A CA, and a key for 127.0.0.1 that it signed.
certificates() {
  local days=3650
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days $days -subj '/CN=weir local CA' -keyout "$dir/ca.key" -out "$dir/ca.pem"
  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=127.0.0.1 -keyout "$dir/server.key" -out "$dir/server.csr"
  openssl x509 -req -in "$dir/server.csr" -CA "$dir/ca.pem" -CAkey "$dir/ca.key" -CAcreateserial -days $days \
    -extfile <(echo 'subjectAltName=IP:127.0.0.1,DNS:localhost') -out "$dir/server.pem"
  cat "$dir/server.key" "$dir/server.pem" "$dir/ca.pem" >"$dir/keystore.pem"
}

run() {
  {
    echo "DIR=$dir" && echo "PORT=$port" && echo "SASL=$sasl" && echo "CONTROLLER=$controller" && echo "ADMIN=$admin"
  } | fill "$here/kafka.properties" >"$dir/server.properties"
  [ -f "$dir/keystore.pem" ] || certificates
  [ -f "$dir/data/meta.properties" ] || java_with_kafka -Xmx256m kafka.tools.StorageTool format --standalone \
    --cluster-id "$(openssl rand -base64 16 | tr '+/' 'ab' | cut -c -22)" \
    --add-scram "SCRAM-SHA-512=[name=$admin,password=$password]" --config "$dir/server.properties"
  exec java -Xms512m -Xmx512m -XX:+UseG1GC -Dlog4j2.configurationFile="$here/kafka.log4j2.yaml" \
    -cp "$cache/kafka-$kafka/*" kafka.Kafka "$dir/server.properties"
}

ready() { grep -q 'Kafka Server started' "$dir/log" && answers "$port"; }

address() {
  echo "KAFKA=127.0.0.1:$port"
  echo "KAFKA_SASL=127.0.0.1:$sasl"
  echo "KAFKA_CA=$dir/ca.pem"
  echo "KAFKA_ADMIN=$admin:$password"
}

version() { echo $kafka; }
