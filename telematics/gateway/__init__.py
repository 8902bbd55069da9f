"""The gateway process: JT/T 808 over TCP and UDP, phone positions over HTTP, commands to terminals."""
