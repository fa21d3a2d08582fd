"""What the owner wants: the configuration file and the environment, read into values the house can rely on."""
