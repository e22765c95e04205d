"""MQTT: everybody through one broker."""
