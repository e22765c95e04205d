"""What a run tells other tools: metrics, curves, spans."""
