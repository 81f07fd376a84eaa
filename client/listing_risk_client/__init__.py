"""Typed client of the listing-risk service.

>>> from listing_risk_client import Client, ScoreRequest                              # doctest: +SKIP
>>> with Client("http://127.0.0.1:3000") as client:                              # doctest: +SKIP
...     client.score(ScoreRequest(id="demo-1", title="유아 목욕놀이 오리 장난감")).action
"""

from listing_risk_client.api import Calls as Client
from listing_risk_client.models import ScoreRequest
from listing_risk_client.transport import ServiceError

__all__ = ["Client", "ScoreRequest", "ServiceError"]
