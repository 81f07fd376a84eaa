"""What the service is made of and whether it may be trusted: signatures of bundles, licences."""
