"""Environments of the store are added and changed while the gateway runs: by the REST API, by commands, by link pages.

request, command or page ──options──▶ checked over the settings ──▶ register, audit log, webhook
"""
