"""The command line: ``d365-graphql`` (= ``python -m gateway``). One module a group of commands."""
