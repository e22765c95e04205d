"""Who may take part: CURVE keys, certificates, and permissions on an MQTT broker."""
