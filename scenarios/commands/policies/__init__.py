"""What is done with a trained policy: it acts, is looked at, or goes elsewhere."""
