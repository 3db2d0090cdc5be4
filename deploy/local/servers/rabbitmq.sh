# RabbitMQ, from Debian's packages, Erlang with it.
port=$((base + 20)) distribution=$((base + 21)) epmd=$((base + 22))

install() { once rabbitmq relocated; }

# Erlang's scripts have the directory that they expect to be installed in.
relocated() {
  debian rabbitmq-server &&
    if [ -d usr/lib/erlang ]; then sed -i "s|/usr/lib/erlang|$made/usr/lib/erlang|" usr/lib/erlang/bin/{erl,start} usr/lib/erlang/erts-*/bin/{erl,start}; fi
}

run() {
  unpacked rabbitmq
  export HOME=$dir ERL_EPMD_PORT=$epmd ERL_EPMD_ADDRESS=127.0.0.1
  export RABBITMQ_NODENAME=weir@localhost RABBITMQ_DIST_PORT=$distribution
  export RABBITMQ_MNESIA_BASE=$dir/mnesia RABBITMQ_LOG_BASE=$dir/log.d RABBITMQ_LOGS=-
  export RABBITMQ_PID_FILE=$dir/node.pid RABBITMQ_ENABLED_PLUGINS_FILE=$dir/plugins RABBITMQ_CONFIG_FILE=$dir/rabbitmq.conf
  export RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS='-noinput -kernel inet_dist_use_interface {127,0,0,1}'
  # The script becomes the node then, and does not stand between it and a signal.
  export RUNNING_UNDER_SYSTEMD=true
  cat >"$RABBITMQ_CONFIG_FILE" <<CONF
listeners.tcp.1 = 127.0.0.1:$port
default_user = weir
default_pass = weir
CONF
  echo '[].' >"$RABBITMQ_ENABLED_PLUGINS_FILE"
  epmd & # else the node starts one that outlives it
  exec "$cache/rabbitmq/usr/lib/rabbitmq/bin/rabbitmq-server"
}

ready() { answers "$port" 'AMQP\0\0\11\1'; }

address() { echo "RABBITMQ=amqp://weir:weir@127.0.0.1:$port/"; }

version() { basename "$cache"/rabbitmq/usr/lib/rabbitmq/lib/rabbitmq_server-* | cut -d- -f2; }
