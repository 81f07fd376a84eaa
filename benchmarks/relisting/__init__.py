"""Re-listing: what comes back under another photo, and how often each system sees it."""
