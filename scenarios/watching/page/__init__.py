"""The page of `foretell watch`: what is to be seen of runs in a browser, on this host, for whoever has the token."""
