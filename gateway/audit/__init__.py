"""Who did what: a log of its own, chained by digests.

entries    what a line says
chain      how lines are chained
sinks      where lines go: files, standard output, syslog
writer     entries → lines in a sink, in the order of one chain
log        the audit log of a process: takes entries, and writes them in a thread
opening    from the settings to the audit log
throttle   repeated entries are counted instead of written
verify     checks the chains of files
"""
