"""Ray as the place of a run's hosts and of a study's runs."""
