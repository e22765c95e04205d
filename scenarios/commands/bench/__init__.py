"""Commands of `foretell bench`. Each ends with a plain line per claim, and with 0 whatever the figures are."""
