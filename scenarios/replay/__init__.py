"""Runs looked at afterwards, from their journals: an agent run again alone, two runs compared, a run as a picture."""
