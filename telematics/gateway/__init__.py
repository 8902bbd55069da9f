"""The gateway process: JT/T 808 over TCP and phone positions over HTTP."""
