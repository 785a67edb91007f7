"""`python -m proxy` is the same program as `trello-proxy`."""

from proxy.cli.main import main

main()
