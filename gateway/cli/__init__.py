"""The command line: ``d365-graphql`` (= ``python -m gateway``). ``commands`` declares, the other modules do."""
