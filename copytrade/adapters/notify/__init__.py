"""Who is told what happened: plain lines, a live table, the log."""
