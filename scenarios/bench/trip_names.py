"""Ways for a message to a neighbor, by the names that the benchmarks show."""

DIRECT = "ZeroMQ direct"
CURVE = "ZeroMQ direct, CURVE"
FORWARDER = "ZeroMQ forwarder"
FORWARDER_CURVE = "ZeroMQ forwarder, CURVE"
QOS_1 = "MQTT QoS 1"
