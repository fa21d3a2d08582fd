"""What must survive a run: files of ours in the state folder."""
