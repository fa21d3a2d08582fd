"""How the owner speaks to the gateway: one file for each command, and one table of them (`commands.py`)."""
