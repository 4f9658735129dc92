"""The console process: for now the health page."""
