"""Stand-ins for the services of a site, with real HTTP and, where there is something to compute, the real program."""
