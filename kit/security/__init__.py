"""Protection that no choice of components takes away: hosts, proxies, forgery, headers, the log.

The kernel puts these modules around every application; ``[security]`` and ``[cors]`` in the config
file say how.
"""
