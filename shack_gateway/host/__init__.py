"""The front door: one host on our standard input and output."""
