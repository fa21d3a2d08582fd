"""The back doors: start servers, greet them, send, listen, restart."""
