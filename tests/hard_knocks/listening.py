"""One process of the service on a socket that is open already, its connections read as `listing-risk serve` does."""

from __future__ import annotations

import sys

import uvicorn

from serving.app import from_environment
from serving.protocol import Protocol

if __name__ == "__main__":
    app = from_environment()
    Protocol.turning_away = app.state.turning_away
    uvicorn.run(app, fd=int(sys.argv[1]), http=Protocol, log_level="warning")
