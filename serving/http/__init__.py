"""The service over HTTP: reading requests, answering, problems, pages."""
