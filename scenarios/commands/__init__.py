"""The command line: click, screens and exit codes; imported by nobody."""
